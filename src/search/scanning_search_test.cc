// How far a search without an index looks, and what that costs.
#include "search/scanning_search.h"

#include <gmock/gmock.h>

#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/testing/run_task.h"
#include "store/rocksdb/rocksdb_harness.h"

namespace colloquy::search {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class ScanningSearchBounds : public testing::Test {
 protected:
  void create(const std::string& title) {
    harness_.clock().advance_ms(1000);
    store::NewConversation fresh{title, "", {}, std::nullopt};
    run_task(store_->create_conversation(ann_, fresh, std::nullopt));
  }
  // All at once, as an import writes them.
  ConversationId take(std::vector<std::string> contents) {
    const auto now_ms = harness_.clock().now_ms();
    store::Conversation conversation;
    conversation.user_id = ann_;
    conversation.id = ConversationId(Uuid::make_v7(now_ms, 7, 7));
    conversation.title = "birds";
    conversation.created_at_s = conversation.updated_at_s = now_ms / 1000;
    conversation.version = 1;
    std::vector<store::Message> messages(contents.size());
    auto id = MessageId(Uuid::make_v7(now_ms, 8, 8));
    for (std::size_t i = 0; i < contents.size(); ++i) {
      messages[i].id = id;
      messages[i].content = std::move(contents[i]);
      messages[i].timestamp_s = now_ms / 1000;
      id = id.successor();
    }
    first_ = messages.front().id;
    EXPECT_TRUE(run_task(store_->take(conversation, std::move(messages))));
    return conversation.id;
  }
  // What has the word; of titles where no conversation is named.
  std::vector<std::string> find(const std::string& word, std::optional<ConversationId> within) {
    Request request;
    request.user = ann_;
    request.text = word;
    request.conversation = within;
    const auto lists_before = lists();
    auto page = run_task(search_.find(std::move(request)));
    lists_ = lists() - lists_before;
    complete_ = page.complete;
    std::vector<std::string> found;
    for (const auto& hit : page.hits) {
      found.push_back(hit.message ? hit.message->content : hit.title);
    }
    return found;
  }

  const UserId ann_{"ann"};
  store::RocksDbHarness harness_;
  std::unique_ptr<store::RocksDbStore> store_ = harness_.open_rocksdb();
  ScanningSearch search_{*store_, harness_.clock(), harness_.metrics()};
  MessageId first_;        // of what was taken
  bool complete_ = true;   // as the last page said
  std::size_t lists_ = 0;  // that it took, each of which is a query

 private:
  std::size_t lists() {
    std::istringstream lines(harness_.metrics().render());
    std::size_t count = 0;
    for (std::string line; std::getline(lines, line);) {
      const bool is_list =
          line.starts_with("colloquy_store_operation_seconds_count{operation=\"list_");
      if (is_list) count += std::stoul(line.substr(line.rfind(' ')));
    }
    return count;
  }
};

TEST_F(ScanningSearchBounds, OfTitlesItLooksAtTheNewestThousand) {
  create("swan");
  create("goose");
  for (std::size_t i = 1; i < ScanningSearch::kConversations; ++i) create("duck");
  EXPECT_THAT(find("swan", std::nullopt), IsEmpty());
  EXPECT_FALSE(complete_);
  EXPECT_EQ(lists_, ScanningSearch::kConversations / limits::kPageMax);
  EXPECT_THAT(find("goose", std::nullopt), ElementsAre("goose"));
}

TEST_F(ScanningSearchBounds, OfAConversationItLooksAtTheNewestThousandMessages) {
  std::vector<std::string> contents(ScanningSearch::kMessages + 1, "duck");
  contents[0] = "swan";
  contents[1] = "goose";
  const auto id = take(std::move(contents));
  EXPECT_THAT(find("swan", id), IsEmpty());
  EXPECT_FALSE(complete_);
  EXPECT_EQ(lists_, ScanningSearch::kMessages / limits::kPageMax);
  EXPECT_THAT(find("goose", id), ElementsAre("goose"));
  EXPECT_FALSE(complete_);
  // A thousand and no more are all of them.
  run_task(store_->delete_message(ann_, id, first_));
  EXPECT_THAT(find("goose", id), ElementsAre("goose"));
  EXPECT_TRUE(complete_);
}

TEST_F(ScanningSearchBounds, OfAConversationItReadsSixteenMebibytesAndTheRestOfAPage) {
  const std::string long_one(limits::kMiB, 'x');
  std::vector<std::string> contents(ScanningSearch::kBytes / limits::kMiB + 8, long_one);
  contents.front() = "swan";
  contents.back() = "goose";
  const auto id = take(std::move(contents));
  EXPECT_THAT(find("swan", id), IsEmpty());
  EXPECT_FALSE(complete_);
  // A page has less than kPageBytes where the next message does not fit.
  EXPECT_LE(lists_, ScanningSearch::kBytes / (limits::kPageBytes - limits::kMiB) + 1);
  EXPECT_THAT(find("goose", id), ElementsAre("goose"));
}

}  // namespace
}  // namespace colloquy::search
