#include "store/dynamodb/aws/canonical_request.h"

#include <gtest/gtest.h>

namespace colloquy::aws {
namespace {

TEST(CanonicalRequestTest, APathLosesItsDotAndEmptySegments) {
  EXPECT_EQ(canonical_path(""), "/");
  EXPECT_EQ(canonical_path("/"), "/");
  EXPECT_EQ(canonical_path("//"), "/");
  EXPECT_EQ(canonical_path("/a/./b"), "/a/b");
  EXPECT_EQ(canonical_path("/a//b/"), "/a/b/");
  EXPECT_EQ(canonical_path("/a/../b"), "/b");
  EXPECT_EQ(canonical_path("/a/.."), "/");
  EXPECT_EQ(canonical_path("/../../x"), "/x");
}

TEST(CanonicalRequestTest, APathIsEncodedOnceMore) {
  EXPECT_EQ(canonical_path("/a%20b"), "/a%2520b");
  EXPECT_EQ(canonical_path("/\xE1\x88\xB4"), "/%E1%88%B4");
  EXPECT_EQ(canonical_path("/-._~0"), "/-._~0");
}

TEST(CanonicalRequestTest, AQueryIsSortedByNameThenValueAndEncodedInOneWay) {
  EXPECT_EQ(canonical_query(""), "");
  EXPECT_EQ(canonical_query("b=2&a=1"), "a=1&b=2");
  EXPECT_EQ(canonical_query("a=2&a=1&a"), "a=&a=1&a=2");
  EXPECT_EQ(canonical_query("a-=1&a=2"), "a=2&a-=1");
  EXPECT_EQ(canonical_query("%61=%2f%2B+~%7e"), "a=%2F%2B%2B~~");
  EXPECT_EQ(canonical_query("a=b=c&&d"), "a=b%3Dc&d=");
  EXPECT_EQ(canonical_query("a=%&b=%4&c=%zz"), "a=%25&b=%254&c=%25zz");
}

TEST(CanonicalRequestTest, HeadersAreLowerCasedFoldedJoinedAndSorted) {
  const auto headers = canonical_headers({{"X-B", "  a \t b  "},
                                          {"x-a", "2"},
                                          {"X-A", " 1 "},
                                          {"X-Empty", " \t"},
                                          {"x-odd", "\xC3\xA9\x01"}});
  EXPECT_EQ(headers.lines, "x-a:2,1\nx-b:a b\nx-empty:\nx-odd:\xC3\xA9\x01\n");
  EXPECT_EQ(headers.names, "x-a;x-b;x-empty;x-odd");
}

TEST(CanonicalRequestTest, WhatIntermediariesChangeIsNotSigned) {
  const auto headers = canonical_headers({{"User-Agent", "x"},
                                          {"connection", "x"},
                                          {"Proxy-Y", "x"},
                                          {"Authorization", "x"},
                                          {"a", "1"}});
  EXPECT_EQ(headers.lines, "a:1\n");
  EXPECT_EQ(headers.names, "a");
}

}  // namespace
}  // namespace colloquy::aws
