// The writes of a turn: its prompt, whose row says that an answer is to come, and the answer in its
// place. A turn that answers a message once more has no prompt of its own: its answer has a row
// from the beginning. And what makes a turn safe to send again. Thread-safe.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/ids.h"
#include "base/task.h"
#include "store/dynamodb/message_reader.h"
#include "store/dynamodb/placer.h"
#include "store/dynamodb/renewer.h"
#include "store/dynamodb/rows.h"
#include "store/dynamodb/running_turns.h"
#include "store/dynamodb/write_steps.h"
#include "store/types.h"

namespace colloquy::store::dynamodb {

class TurnWriter {
 public:
  // `owner` names this server in the answers that it runs.
  TurnWriter(WriteSteps& steps, Placer& placer, Rows& rows, MessageReader& reader, Renewer& renewer,
             const Clock& clock, std::string owner)
      : steps_(steps),
        placer_(placer),
        rows_(rows),
        reader_(reader),
        renewer_(renewer),
        clock_(clock),
        owner_(std::move(owner)),
        running_(clock) {}

  // As the calls of store/store.h and store/sealed_writes.h.
  Task<StartedTurn> start_turn(UserId user, NewTurn turn, std::optional<IdempotencyKey> key,
                               SealedWrites::SealingPointer sealing);
  Task<std::optional<StartedTurn>> find_turn(UserId user, std::optional<ConversationId> id,
                                             IdempotencyKey key);
  Task<FinishedTurn> finish_turn(UserId user, ConversationId id, Message reply);
  Task<bool> save_partial(UserId user, ConversationId id, Message reply);
  // Of an answer that runs on another server.
  std::optional<std::string> owner_elsewhere(const MessageItem& answer) const;

 private:
  Task<Placer::Placed> place_turn(Conversation conversation, const NewTurn& turn, KeyedItem made,
                                  std::optional<MessageId> newest, bool repeats);
  Task<std::optional<StartedTurn>> write_turn(const KeyedItem& made, Placer::Placed placed,
                                              const NewTurn& turn,
                                              SealedWrites::SealingPointer sealing);
  Task<std::optional<StartedTurn>> write_answer(const KeyedItem& made, Placer::Placed placed,
                                                const NewTurn& turn);
  Task<StartedTurn> await_turn(UserId user, std::optional<ConversationId> named, KeyedItem made);
  Task<std::optional<StartedTurn>> replay_turn(UserId user, std::optional<ConversationId> named,
                                               const KeyedItem& earlier);
  // Of an answer that comes late, or twice, or from nowhere.
  struct LateTurn {
    Conversation conversation;
    RunningTurn turn;
    std::optional<Message> saved;  // the answer, where it was finished before
  };
  Task<LateTurn> look_up_turn(UserId user, ConversationId id, MessageId reply);
  Task<> take_back(const RunningTurn& turn, const MessageItem& reply);

  WriteSteps& steps_;
  Placer& placer_;
  Rows& rows_;
  MessageReader& reader_;
  Renewer& renewer_;
  const Clock& clock_;
  const std::string owner_;
  RunningTurns running_;
};

}  // namespace colloquy::store::dynamodb
