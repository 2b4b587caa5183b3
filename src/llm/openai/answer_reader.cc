#include "llm/openai/answer_reader.h"

#include <algorithm>
#include <utility>

#include "llm/openai/upstream_failure.h"

namespace colloquy::llm {
namespace {

// JSON escapes a byte with at most six, and an upstream may send the whole answer in one chunk.
std::size_t json_bytes_max(std::size_t content_bytes_max) {
  return 6 * content_bytes_max + std::size_t{256} * 1024;
}

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool starts_character(char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }

}  // namespace

AnswerReader::AnswerReader(const TextSink& sink, std::size_t content_bytes_max)
    : sink_(sink),
      content_bytes_max_(content_bytes_max),
      events_(net::SseReader::Limits{.line_bytes = json_bytes_max(content_bytes_max),
                                     .event_bytes = json_bytes_max(content_bytes_max)}) {}

void AnswerReader::push(std::string_view bytes) {
  if (form_ == Form::kUnknown) {
    // Not by the content type, which is often wrong: no event stream starts with a brace.
    const auto* const first = std::find_if_not(bytes.begin(), bytes.end(), is_space);
    if (first == bytes.end()) return;
    form_ = *first == '{' ? Form::kObject : Form::kEvents;
  }
  if (form_ == Form::kEvents) return take_events(bytes);
  if (object_.size() + bytes.size() > json_bytes_max(content_bytes_max_)) {
    throw garbled_failure("the answer's JSON is too long");
  }
  object_.append(bytes);
}

void AnswerReader::end() {
  if (form_ == Form::kObject && state_ == State::kOpen) {
    take_chunk(object_);
    if (state_ == State::kFinished) state_ = State::kDone;
  }
  if (state_ == State::kFinished) state_ = State::kDone;
  if (state_ == State::kDone) deliver(repair_.flush());
}

void AnswerReader::take_events(std::string_view bytes) {
  try {
    events_.push(bytes);
  } catch (const net::NetError& error) {
    throw network_failure(error);
  }
  while (auto event = events_.next()) {
    if (state_ == State::kDone || state_ == State::kOverBound) return;
    if (event->data == "[DONE]") {
      state_ = State::kDone;
      deliver(repair_.flush());
    } else if (!event->data.empty()) {
      take_chunk(event->data);
    }
  }
}

void AnswerReader::take_chunk(std::string_view json) {
  const auto chunk = parse_stream_chunk(json);
  if (!chunk) throw garbled_failure("a chunk of the answer is not what it should be");
  if (chunk->error) throw stream_failure(*chunk->error);
  if (chunk->alive) ++signs_of_life_;
  if (chunk->prompt_tokens) prompt_tokens_ = chunk->prompt_tokens;
  if (chunk->completion_tokens) completion_tokens_ = chunk->completion_tokens;
  if (state_ == State::kOpen) deliver(repair_.push(chunk->content));
  if (state_ == State::kOpen && !chunk->finish_reason.empty()) {
    finish_reason_ = chunk->finish_reason;
    state_ = State::kFinished;
  }
}

void AnswerReader::deliver(const std::string& text) {
  std::string_view wanted = text;
  std::size_t left = content_bytes_max_ - delivered_bytes_;
  if (wanted.size() > left) {
    while (left > 0 && !starts_character(wanted[left])) --left;
    wanted = wanted.substr(0, left);
    state_ = State::kOverBound;
  }
  if (wanted.empty()) return;
  delivered_bytes_ += wanted.size();
  estimate_.add(wanted);
  sink_(wanted);
}

}  // namespace colloquy::llm
