#include "store/dynamodb/message_view.h"

#include <utility>

namespace colloquy::store::dynamodb {

MessageItem answer_to_come(const MessageItem& prompt, std::int64_t now_s) {
  MessageItem answer;
  answer.conversation_id = prompt.conversation_id;
  answer.user_id = prompt.user_id;
  answer.ttl = prompt.ttl;
  auto& message = answer.message;
  message.id = prompt.reply->id;
  message.role = Role::kAssistant;
  message.status = MessageStatus::kRunning;
  message.model = prompt.reply->model;
  message.timestamp_s = prompt.message.timestamp_s;
  message.branch = prompt.message.branch;
  answer.running = prompt.reply;
  see(answer, now_s);
  return answer;
}

void see(MessageItem& item, std::int64_t now_s) {
  if (item.message.status != MessageStatus::kRunning) return;
  if (item.running && item.running->lease_until_s != 0 && item.running->lease_until_s <= now_s) {
    item.message.status = MessageStatus::kInterrupted;
  }
}

void MessageView::add(MessageItem item) {
  see(item, now_s_);
  if (order_ == Order::kOldestFirst) {
    add_oldest_first(std::move(item));
  } else {
    add_newest_first(std::move(item));
  }
}

// Once the item after a prompt is known, so is whether its answer has come.
void MessageView::settle_prompt(const MessageItem* next) {
  if (!prompt_) return;
  bool there = next != nullptr && next->message.id == prompt_->reply->id;
  if (!there && !is_past(prompt_->reply->id)) seen_.push_back(answer_to_come(*prompt_, now_s_));
  prompt_.reset();
}

void MessageView::add_oldest_first(MessageItem item) {
  settle_prompt(&item);
  bool is_edge = bounds_.after && item.message.id <= *bounds_.after;
  if (item.reply) {
    prompt_.emplace();
    prompt_->conversation_id = item.conversation_id;
    prompt_->user_id = item.user_id;
    prompt_->message.timestamp_s = item.message.timestamp_s;
    prompt_->message.branch = item.message.branch;
    prompt_->reply = item.reply;
    prompt_->ttl = item.ttl;
  }
  if (!is_edge) seen_.push_back(std::move(item));
}

void MessageView::add_newest_first(MessageItem item) {
  auto id = item.message.id;
  if (item.reply) {
    const auto& answer = item.reply->id;
    bool there = newer_ == answer || is_past(answer);
    if (!there) seen_.push_back(answer_to_come(item, now_s_));
  }
  seen_.push_back(std::move(item));
  newer_ = id;
}

void MessageView::end() {
  if (order_ == Order::kOldestFirst) settle_prompt(nullptr);
}

}  // namespace colloquy::store::dynamodb
