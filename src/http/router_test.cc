#include "http/router.h"

#include <gtest/gtest.h>

namespace colloquy::http {
namespace {

Handler nothing() {
  return [](Request&) -> Task<Response> { co_return Response(); };
}

class RouterTest : public ::testing::Test {
 protected:
  RouterTest() {
    add(Method::kGet, "/");
    add(Method::kGet, "/conversations");
    add(Method::kPost, "/conversations");
    add(Method::kGet, "/conversations/{id}");
    add(Method::kDelete, "/conversations/{id}");
    add(Method::kGet, "/conversations/search");
    add(Method::kGet, "/conversations/{id}/messages/{message_id}");
    add(Method::kGet, "/files/{path...}");
    add(Method::kGet, "/files/a/{name}");
    add(Method::kGet, "/{any}/x");
  }
  void add(Method method, std::string path_template) {
    router_.add({method, std::move(path_template), false, nothing()});
  }
  // The template of the route, or how the search ended.
  std::string match(Method method, std::string path) {
    request_ = Request();
    request_.method = method;
    request_.path = std::move(path);
    const Router::Match match = router_.match(request_);
    allow_ = match.allow;
    if (match.outcome == Router::Outcome::kNoPath) return "no path";
    if (match.outcome == Router::Outcome::kNoMethod) return "no method";
    EXPECT_EQ(request_.route, match.route->path_template);
    return match.route->path_template;
  }

  Router router_;
  Request request_;
  std::string allow_;
};

TEST_F(RouterTest, FindsTemplatesAndFillsTheirParameters) {
  EXPECT_EQ(match(Method::kGet, "/"), "/");
  EXPECT_EQ(match(Method::kGet, "/conversations"), "/conversations");
  EXPECT_EQ(match(Method::kGet, "/conversations/a%20b/messages/%C3%A9"),
            "/conversations/{id}/messages/{message_id}");
  EXPECT_EQ(request_.path_parameter("id"), "a b");
  EXPECT_EQ(request_.path_parameter("message_id"), "\xc3\xa9");
  EXPECT_EQ(request_.path_parameter("other"), "");
}

TEST_F(RouterTest, PrefersLiterals) {
  EXPECT_EQ(match(Method::kGet, "/conversations/search"), "/conversations/search");
  EXPECT_EQ(match(Method::kDelete, "/conversations/search"), "/conversations/{id}");
  EXPECT_EQ(match(Method::kGet, "/conversations/x"), "/conversations/{id}");
  EXPECT_EQ(match(Method::kGet, "/files/a/b"), "/files/a/{name}");
  EXPECT_EQ(match(Method::kGet, "/other/x"), "/{any}/x");
}

TEST_F(RouterTest, TakesTheRestOfAPath) {
  EXPECT_EQ(match(Method::kGet, "/files/b/c%2Fd/e"), "/files/{path...}");
  EXPECT_EQ(request_.path_parameter("path"), "b/c/d/e");
  EXPECT_EQ(match(Method::kGet, "/files"), "no path");
}

TEST_F(RouterTest, MatchesNothingWhereThePathIsNotClean) {
  for (const char* path :
       {"", "*", "conversations", "/conversations/", "//conversations", "//", "/conversations//",
        "/conversations/%zz", "/conversations/%ff", "/conversations/%00", "/files/a//b", "/files/",
        "/nowhere", "/CONVERSATIONS"}) {
    EXPECT_EQ(match(Method::kGet, path), "no path") << path;
  }
}

TEST_F(RouterTest, SaysWhichMethodsAPathHas) {
  EXPECT_EQ(match(Method::kPut, "/conversations"), "no method");
  EXPECT_EQ(allow_, "GET, HEAD, POST, OPTIONS");
  EXPECT_EQ(match(Method::kOptions, "/conversations/x"), "no method");
  EXPECT_EQ(allow_, "GET, HEAD, DELETE, OPTIONS");
  EXPECT_EQ(match(Method::kOther, "/conversations"), "no method");
}

TEST_F(RouterTest, HeadIsAnsweredByGet) {
  EXPECT_EQ(match(Method::kHead, "/conversations/x"), "/conversations/{id}");
}

TEST_F(RouterTest, AssertsThatNoTwoRoutesAreTheSame) {
  EXPECT_DEATH(add(Method::kGet, "/conversations/{other}"), "Two routes are the same");
  EXPECT_DEATH(add(Method::kGet, "no-slash"), "not a path");
  EXPECT_DEATH(add(Method::kGet, "/{rest...}/x"), "take the rest");
}

}  // namespace
}  // namespace colloquy::http
