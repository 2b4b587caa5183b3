#include "store/dynamodb/aws/xml.h"

#include <gtest/gtest.h>

namespace colloquy::aws {
namespace {

std::string text_of(std::string_view document) {
  const auto root = parse_xml(document);
  return root ? root->text : "(refused)";
}

TEST(XmlTest, FindsElementsByTheirPath) {
  const auto root = parse_xml(
      "<?xml version=\"1.0\" encoding='utf-8'?>\n<!-- a comment -->\n"
      "<Answer xmlns=\"https://example.com/doc/\">\r\n  <A><B id='1'>one</B><C/></A>\n"
      "  <D>x</D><D>y</D>\n</Answer>\n<!-- end -->");
  ASSERT_TRUE(root);
  EXPECT_EQ(root->name, "Answer");
  ASSERT_NE(root->find({"A", "B"}), nullptr);
  EXPECT_EQ(root->find({"A", "B"})->text, "one");
  EXPECT_EQ(root->find({"A", "C"})->text, "");
  EXPECT_EQ(root->find({"A", "X", "Y"}), nullptr);
  EXPECT_EQ(root->child("D"), nullptr) << "it is there twice";
}

TEST(XmlTest, ReplacesEntitiesOnce) {
  EXPECT_EQ(text_of("<a>&lt;&gt;&amp;&quot;&apos;</a>"), "<>&\"'");
  EXPECT_EQ(text_of("<a>&amp;lt;</a>"), "&lt;");
  EXPECT_EQ(text_of("<a>&#65;&#x42;&#xe9;&#x6728;&#x1F642;</a>"),
            "AB\xC3\xA9\xE6\x9C\xA8\xF0\x9F\x99\x82");
  EXPECT_EQ(text_of("<a>x<!-- &bad; -->y<![CDATA[<&amp;]]>z</a>"), "xy<&amp;z");
}

TEST(XmlTest, RefusesReferencesToAnythingElse) {
  for (const auto* text : {"&x;", "&", "&;", "&amp", "&#;", "&#x;", "&#0;", "&#xD800;",
                           "&#x110000;", "&#99999999999;", "&#-1;", "&#x 41;", "&AMP;"}) {
    EXPECT_EQ(text_of(std::string("<a>") + text + "</a>"), "(refused)") << text;
  }
  EXPECT_EQ(text_of("<a b='&x;'/>"), "(refused)");
}

TEST(XmlTest, RefusesWhatIsNotOneWellFormedDocument) {
  for (const auto* text : {"",
                           " ",
                           "text",
                           "<a>",
                           "<a></b>",
                           "<a/><b/>",
                           "<a/>x",
                           "x<a/>",
                           "<a><b></a></b>",
                           "</a>",
                           "<>",
                           "< a/>",
                           "<1/>",
                           "<a b/>",
                           "<a b=1/>",
                           "<a b='1/>",
                           "<a b='<'/>",
                           "<a b='1'c='2'/>",
                           "<a b='1' b='2'/>",
                           "<a",
                           "<a ",
                           "<a/",
                           "<a></a",
                           "<a><!-- x</a>",
                           "<!-- a -- b --><a/>",
                           "<a>]]></a>",
                           "<a><![CDATA[</a>",
                           "<!DOCTYPE a><a/>",
                           "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
                           "<?php ?><a/>",
                           "<a><?x ?></a>",
                           "<?xml version='1.0' encoding='UTF-16'?><a/>",
                           "<?xml version='1.0'<a/>",
                           " <?xml version='1.0'?><a/>",
                           "<a>\x01</a>",
                           "{\"a\":1}"}) {
    EXPECT_FALSE(parse_xml(text)) << text;
  }
}

TEST(XmlTest, EveryCutOfADocumentIsRefused) {
  const std::string whole =
      "<?xml version=\"1.0\"?><a x='&lt;'><b>&#65;<!--c--></b><![CDATA[d]]><e/></a>";
  ASSERT_TRUE(parse_xml(whole));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(parse_xml(whole.substr(0, size))) << size;
  }
}

TEST(XmlTest, IsBoundedInDepthAndSize) {
  const auto nested = [](int depth) {
    std::string text;
    for (int i = 0; i < depth; ++i) text += "<a>";
    for (int i = 0; i < depth; ++i) text += "</a>";
    return text;
  };
  EXPECT_TRUE(parse_xml(nested(16)));
  EXPECT_FALSE(parse_xml(nested(17)));
  EXPECT_FALSE(parse_xml(nested(100'000)));
  std::string many = "<a>";
  for (int i = 0; i < 1'000; ++i) many += "<b/>";
  EXPECT_FALSE(parse_xml(many + "</a>"));
  EXPECT_FALSE(parse_xml("<a>" + std::string(300'000, 'x') + "</a>"));
}

}  // namespace
}  // namespace colloquy::aws
