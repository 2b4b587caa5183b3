// Takes a whole conversation (store/intake.h) as one operation of the Writer.
#pragma once

#include <string>
#include <vector>

#include "store/rocksdb/writer.h"

namespace colloquy::store {

class TakeConversation final : public AwaitedOperation<bool> {
 public:
  TakeConversation(Conversation conversation, std::vector<Message> messages);
  void apply(WriteGroup& group) override;
  std::size_t bytes() const override { return bytes_; }

 private:
  struct Encoded {
    MessageId id;
    std::string value;
  };
  Conversation conversation_;
  std::vector<Encoded> messages_;
  std::size_t bytes_ = 512;
};

}  // namespace colloquy::store
