// Random operations on a store and on the model side by side: every answer must agree.
#include <random>
#include <sstream>

#include "base/testing/next_call.h"
#include "store/testing/conformance.h"
#include "store/testing/model_store.h"

namespace colloquy::store {
namespace {

// Off for stores whose counts lag behind.
bool compare_counts = true;

// What can be said of a result without the store's choice of version numbers.
std::string describe(const Conversation& c) {
  std::ostringstream out;
  out << "conversation " << c.id.to_string() << " of " << c.user_id.value() << " '" << c.title
      << "' " << c.created_at_s << ' ' << c.updated_at_s << ' '
      << (compare_counts ? c.message_count : 0) << ' ' << c.pinned << c.archived << ' '
      << c.system_prompt.size() << ' ' << c.ttl_seconds.value_or(-1) << ' '
      << c.expires_at_s().value_or(-1);
  for (const auto& [name, value] : c.metadata) out << ' ' << name << '=' << value;
  if (c.context.messages) out << " messages " << *c.context.messages;
  if (c.context.tokens) out << " tokens " << *c.context.tokens;
  if (c.context.summary) out << " summary " << *c.context.summary;
  if (c.summary) out << " summarized to " << c.summary->up_to.to_string() << c.summary->text.size();
  return out.str();
}

std::string describe(const Message& m) {
  std::ostringstream out;
  out << "message " << m.id.to_string() << ' ' << role_name(m.role) << " '" << m.content << "' "
      << m.timestamp_s << ' ' << status_name(m.status) << ' ' << finish_reason_name(m.finish_reason)
      << ' ' << m.model << ' ' << m.client_message_id;
  if (m.usage) out << ' ' << m.usage->prompt_tokens << '/' << m.usage->completion_tokens;
  for (const auto& [name, value] : m.metadata) out << ' ' << name << '=' << value;
  for (const auto& path : m.attachments) out << " with " << path;
  if (m.parent) out << " after " << m.parent->to_string();
  return out.str();
}

template <class T>
std::string describe(const std::vector<T>& values) {
  std::string out;
  for (const auto& value : values) out += describe(value) + '\n';
  return out;
}

std::string describe(const RecentMessages& recent) {
  return describe(recent.conversation) + '\n' + describe(recent.messages) +
         (recent.newest ? recent.newest->to_string() : "none") + '/' +
         (recent.tip ? recent.tip->to_string() : "none");
}

std::string describe(const CreatedConversation& made) {
  return describe(made.conversation) + (made.replayed ? " again" : "");
}
std::string describe(const AppendedMessage& made) {
  return describe(made.message) + (made.replayed ? " again" : "");
}
std::string describe(const StartedTurn& made) {
  return describe(made.conversation) + '\n' + describe(made.prompt) + '\n' + describe(made.reply) +
         (made.replayed ? " again" : "");
}
std::string describe(const ConversationPage& page) {
  return describe(page.conversations) + (page.next ? page.next->to_string() : "end");
}
std::string describe(const MessagePage& page) {
  return describe(page.conversation) + '\n' + describe(page.messages) +
         (page.more ? "more" : "end");
}

std::string describe(FinishedTurn finished) {
  finished.reply.parent.reset();  // as the caller gave it
  return describe(finished.conversation) + '\n' + describe(finished.reply);
}

std::string describe(bool value) { return value ? "yes" : "no"; }

template <class T>
std::string describe(const std::optional<T>& value) {
  return value ? describe(*value) : "nothing";
}

// A result, or the code of the error in its place.
template <class T>
struct Outcome {
  std::optional<T> value;
  std::string text;
};

template <class T>
Outcome<T> outcome_of(Task<T> task) {
  try {
    auto value = run_task(std::move(task));
    auto text = describe(value);
    return {std::move(value), std::move(text)};
  } catch (const Error& error) {
    return {std::nullopt, std::string(error_code_name(error.code()))};
  }
}

std::string outcome_of(Task<> task) {
  auto code = error_of(std::move(task));
  return code ? std::string(error_code_name(*code)) : "done";
}

// Draws operations and runs each on both stores.
class Comparison {
 public:
  Comparison(Store& real, ModelStore& model, ManualClock& clock, std::mt19937& random)
      : real_(&real), model_(model), clock_(clock), random_(random) {}

  void set_real(Store& real) { real_ = &real; }
  void compare_all();
  void step();

 private:
  struct Known {
    UserId user;
    ConversationId id;
    std::vector<MessageId> messages;
  };

  std::size_t draw(std::size_t below) { return random_() % below; }
  bool one_in(std::size_t n) { return draw(n) == 0; }
  UserId user() { return UserId(one_in(2) ? "alice" : "bob"); }
  // Mostly the right user.
  UserId user_for(const Known& known) { return one_in(20) ? user() : known.user; }
  Known& some() { return known_[draw(known_.size())]; }
  MessageId message_of(const Known& known) {
    if (known.messages.empty() || one_in(10)) return MessageId(Uuid::make_v7(5, 6, random_()));
    return known.messages[draw(known.messages.size())];
  }
  NewConversation new_conversation();
  NewMessage new_message();
  // Where a message stands in each store: they number branches as they please.
  struct Places {
    TreePlace real;
    TreePlace model;
  };
  static std::optional<Message> found_in(Store& store, const Known& known, const MessageId& id);
  Places place_of(const Known& known);
  Places place_of(const Known& known, const MessageId& id);
  std::optional<IdempotencyKey> key(char kind, const ConversationId& scope);

  void create();
  void append();
  void start();
  void finish();
  void save_partial();
  void update();
  void remove_conversation();
  void remove_message();
  void read();

  Store* real_;
  ModelStore& model_;
  ManualClock& clock_;
  std::mt19937& random_;
  std::vector<Known> known_;
  std::vector<std::pair<Known, Message>> turns_;
};

NewConversation Comparison::new_conversation() {
  NewConversation fresh;
  fresh.title = "title " + std::to_string(draw(100));
  fresh.system_prompt = std::string(one_in(3) ? draw(2000) : 0, 's');
  if (one_in(3)) fresh.metadata["n"] = std::to_string(draw(1000));
  if (one_in(4)) fresh.ttl_seconds = static_cast<std::int64_t>(1 + draw(300));
  if (one_in(4)) fresh.context.messages = static_cast<std::uint32_t>(draw(12));
  return fresh;
}

NewMessage Comparison::new_message() {
  NewMessage message;
  message.role = one_in(2) ? Role::kUser : Role::kAssistant;
  message.content = std::string(one_in(3) ? 0 : draw(200), static_cast<char>('a' + draw(26)));
  if (one_in(4)) message.metadata["n"] = std::to_string(draw(1000));
  if (one_in(4)) message.client_message_id = std::to_string(draw(1000));
  if (one_in(4)) message.attachments.assign(1 + draw(3), "files/" + std::to_string(draw(1000)));
  return message;
}

std::optional<Message> Comparison::found_in(Store& store, const Known& known, const MessageId& id) {
  return run_task(store.get_message(known.user, known.id, id));
}

// Of a message that is not there: the beginning.
Comparison::Places Comparison::place_of(const Known& known, const MessageId& id) {
  auto real = found_in(*real_, known, id);
  auto model = found_in(model_, known, id);
  if (!real || !model) return {};
  return {{real->branch, id}, {model->branch, id}};
}

Comparison::Places Comparison::place_of(const Known& known) {
  return place_of(known, message_of(known));
}

std::optional<IdempotencyKey> Comparison::key(char kind, const ConversationId& scope) {
  if (!one_in(3)) return std::nullopt;
  IdempotencyKey key;
  key.key = kind + std::to_string(draw(8));
  std::copy(scope.raw().begin(), scope.raw().end(), key.fingerprint.begin());
  key.fingerprint.back() = one_in(10) ? 1 : 0;
  key.expires_at_s = clock_.now_s() + 100;
  return key;
}

void Comparison::create() {
  auto owner = user();
  auto fresh = new_conversation();
  auto idempotency = key('c', {});
  auto real = outcome_of(real_->create_conversation(owner, fresh, idempotency));
  model_.use_ids(real.value ? std::optional(real.value->conversation.id) : std::nullopt, {});
  auto model = outcome_of(model_.create_conversation(owner, fresh, idempotency));
  EXPECT_EQ(real.text, model.text);
  if (real.value) known_.push_back({owner, real.value->conversation.id, {}});
}

void Comparison::append() {
  auto& known = some();
  auto who = user_for(known);
  auto message = new_message();
  auto place = one_in(8) ? std::optional(place_of(known)) : std::nullopt;
  auto idempotency = key('m', known.id);
  if (place) message.place = place->real;
  auto real = outcome_of(real_->append_message(who, known.id, message, idempotency));
  if (real.value) {
    model_.use_ids(std::nullopt, {real.value->message.id});
    known.messages.push_back(real.value->message.id);
  }
  if (place) message.place = place->model;
  auto model = outcome_of(model_.append_message(who, known.id, message, idempotency));
  EXPECT_EQ(real.text, model.text);
}

void Comparison::start() {
  NewTurn turn;
  auto known = some();
  auto who = user_for(known);
  if (one_in(4)) {
    turn.new_conversation = new_conversation();
  } else {
    turn.conversation_id = known.id;
  }
  turn.prompt = new_message();
  turn.model = "model";
  turn.lease_until_s = clock_.now_s() + 1 + static_cast<std::int64_t>(draw(60));
  std::optional<Places> place;
  std::optional<MessageId> answered;
  if (turn.conversation_id && one_in(6)) {
    place = place_of(known);
    turn.prompt.place = place->real;
  } else if (turn.conversation_id && one_in(6)) {
    answered = message_of(known);
    turn.answered = found_in(*real_, known, *answered);
    if (!turn.answered) answered.reset();
  }
  auto idempotency = key('t', turn.conversation_id.value_or(ConversationId()));
  if (idempotency && one_in(2)) {
    EXPECT_EQ(outcome_of(real_->find_turn(who, turn.conversation_id, *idempotency)).text,
              outcome_of(model_.find_turn(who, turn.conversation_id, *idempotency)).text);
  }
  auto real = outcome_of(real_->start_turn(who, turn, idempotency));
  if (real.value) {
    const auto& made = *real.value;
    std::vector<MessageId> ids{made.reply.id};
    if (!answered) ids.insert(ids.begin(), made.prompt.id);
    model_.use_ids(made.conversation.id, ids);
    Known made_in{who, made.conversation.id, ids};
    if (turn.new_conversation) known_.push_back(made_in);
    turns_.emplace_back(made_in, made.reply);
  }
  if (place) turn.prompt.place = place->model;
  if (answered) turn.answered = found_in(model_, known, *answered);
  auto model = outcome_of(model_.start_turn(who, turn, idempotency));
  model_.use_ids(std::nullopt, {});
  EXPECT_EQ(real.text, model.text);
}

void Comparison::finish() {
  if (turns_.empty()) return;
  auto [known, reply] = turns_[draw(turns_.size())];
  reply.content = "answer " + std::to_string(draw(1000));
  reply.status = one_in(3) ? MessageStatus::kCancelled : MessageStatus::kComplete;
  reply.finish_reason = FinishReason::kStop;
  reply.usage = Usage{static_cast<std::int64_t>(draw(99)), 7};
  auto real = outcome_of(real_->finish_turn(known.user, known.id, reply));
  auto model = outcome_of(model_.finish_turn(known.user, known.id, reply));
  EXPECT_EQ(real.text, model.text);
}

void Comparison::save_partial() {
  if (turns_.empty()) return;
  auto [known, reply] = turns_[draw(turns_.size())];
  reply.content = "so far " + std::to_string(draw(1000));
  auto who = user_for(known);
  auto real = outcome_of(real_->save_partial(who, known.id, reply));
  auto model = outcome_of(model_.save_partial(who, known.id, reply));
  EXPECT_EQ(real.text, model.text);
}

void Comparison::update() {
  auto& known = some();
  auto who = user_for(known);
  ConversationPatch patch;
  if (one_in(3)) patch.title = "title " + std::to_string(draw(100));
  if (one_in(3)) patch.pinned = one_in(2);
  if (one_in(3)) patch.archived = one_in(2);
  if (one_in(3)) patch.system_prompt = std::string(draw(2000), 'u');
  if (one_in(3)) {
    patch.metadata.emplace();
    patch.metadata->clear_first = one_in(4);
    auto& value = patch.metadata->pairs["u" + std::to_string(draw(20))];
    if (!one_in(4)) value = std::string(draw(500), 'v');
  }
  if (one_in(4)) patch.ttl_seconds = std::optional<std::int64_t>(1 + draw(500));
  if (one_in(6)) patch.ttl_seconds.emplace(std::nullopt);
  if (one_in(4)) {
    patch.context.emplace();
    patch.context->clear_first = one_in(3);
    if (one_in(2)) patch.context->messages.emplace(static_cast<std::uint32_t>(draw(12)));
    if (one_in(4)) patch.context->messages.emplace(std::nullopt);
    if (one_in(3)) patch.context->tokens.emplace(static_cast<std::uint32_t>(1 + draw(200)));
    if (one_in(4)) patch.context->tokens.emplace(std::nullopt);
    if (one_in(3)) patch.context->summary.emplace(one_in(2));
  }
  if (one_in(4)) {
    patch.summary.emplace(ContextSummary{std::string(draw(600), 's'), message_of(known)});
  }
  std::optional<Places> active;
  if (one_in(6) && !known.messages.empty()) {
    active = place_of(known, known.messages[draw(known.messages.size())]);
    patch.active = active->real;
  }
  if (one_in(8)) patch.if_title = "title " + std::to_string(draw(100));
  auto real = outcome_of(real_->update_conversation(who, known.id, patch, {}));
  if (active) patch.active = active->model;
  auto model = outcome_of(model_.update_conversation(who, known.id, patch, {}));
  EXPECT_EQ(real.text, model.text);
}

void Comparison::remove_conversation() {
  auto& known = some();
  auto who = user_for(known);
  std::optional<std::uint64_t> stale;
  if (one_in(3)) stale = 0;
  EXPECT_EQ(outcome_of(real_->delete_conversation(who, known.id, stale)),
            outcome_of(model_.delete_conversation(who, known.id, stale)));
}

void Comparison::remove_message() {
  auto& known = some();
  auto who = user_for(known);
  auto id = message_of(known);
  EXPECT_EQ(outcome_of(real_->delete_message(who, known.id, id)),
            outcome_of(model_.delete_message(who, known.id, id)));
}

void Comparison::read() {
  auto& known = some();
  auto who = user_for(known);
  EXPECT_EQ(outcome_of(real_->get_conversation(who, known.id)).text,
            outcome_of(model_.get_conversation(who, known.id)).text);
  auto limit = 1 + draw(10);
  std::optional<ConversationId> after;
  if (one_in(2)) after = some().id;
  EXPECT_EQ(outcome_of(real_->list_conversations(who, limit, after)).text,
            outcome_of(model_.list_conversations(who, limit, after)).text);
  MessageRange range;
  range.limit = 1 + draw(20);
  if (one_in(4)) range.before = message_of(known);
  if (!range.before && one_in(4)) range.after = message_of(known);
  EXPECT_EQ(outcome_of(real_->list_messages(who, known.id, range)).text,
            outcome_of(model_.list_messages(who, known.id, range)).text);
  range.all_branches = true;
  EXPECT_EQ(outcome_of(real_->list_messages(who, known.id, range)).text,
            outcome_of(model_.list_messages(who, known.id, range)).text);
  auto recent = draw(10);
  std::optional<Places> up_to;
  if (one_in(3)) up_to = place_of(known);
  auto real_place = up_to ? std::optional(up_to->real) : std::nullopt;
  auto model_place = up_to ? std::optional(up_to->model) : std::nullopt;
  EXPECT_EQ(outcome_of(real_->read_recent(who, known.id, newest(recent), real_place)).text,
            outcome_of(model_.read_recent(who, known.id, newest(recent), model_place)).text);
  auto id = message_of(known);
  EXPECT_EQ(outcome_of(real_->get_message(who, known.id, id)).text,
            outcome_of(model_.get_message(who, known.id, id)).text);
}

void Comparison::compare_all() {
  MessageRange whole;
  whole.limit = 10'000;
  whole.all_branches = true;
  for (const auto& known : known_) {
    EXPECT_EQ(outcome_of(real_->list_messages(known.user, known.id, whole)).text,
              outcome_of(model_.list_messages(known.user, known.id, whole)).text);
    EXPECT_EQ(outcome_of(real_->get_conversation(known.user, known.id)).text,
              outcome_of(model_.get_conversation(known.user, known.id)).text);
  }
}

void Comparison::step() {
  if (known_.empty()) return create();
  if (one_in(3)) clock_.advance_ms(static_cast<std::int64_t>(draw(3000)));
  switch (draw(20)) {
    case 0:
      return create();
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
      return append();
    case 7:
    case 8:
    case 9:
      return start();
    case 10:
    case 11:
      return one_in(2) ? save_partial() : finish();
    case 12:
    case 13:
      return update();
    case 14:
      return one_in(3) ? remove_conversation() : read();
    case 15:
      return remove_message();
    default:
      return read();
  }
}

TEST_P(StoreConformance, AgreesWithTheModelOverThousandsOfRandomOperations) {
  constexpr int kSteps = kSanitized ? 2000 : 6000;
  constexpr unsigned kSeed = 20260101;
  std::mt19937 random(kSeed);
  RandomIdSource ids;
  ModelStore model(clock(), ids, counts_at_once());
  compare_counts = counts_at_once();
  Comparison comparison(store(), model, clock(), random);
  for (int step = 0; step < kSteps; ++step) {
    comparison.step();
    if (HasFailure()) FAIL() << "seed " << kSeed << ", step " << step;
    if (random() % 400 == 0) settle();
    if (random() % 500 == 0) {
      reopen();
      // Past every lease, so that what ran is interrupted whatever the store knows of its servers.
      advance_s(61);
      comparison.set_real(store());
    }
  }
  // When all is quiet, what has read a whole conversation has its count right.
  advance_s(1000);
  compare_counts = true;
  comparison.compare_all();
}

}  // namespace
}  // namespace colloquy::store
