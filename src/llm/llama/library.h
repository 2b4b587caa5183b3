// llama.cpp as a library: its processors' code is loaded once, and what it writes goes into our
// log.
//
// Thread-safe. Throws Error(kInternal) when no code for this machine's processor is found.
#pragma once

#include <string>

namespace colloquy::llm {

// Before anything else of llama.cpp's is called.
void start_llama();

// Collects the errors that llama.cpp writes on this thread, instead of logging them.
class LlamaComplaints {
 public:
  LlamaComplaints();
  ~LlamaComplaints();
  LlamaComplaints(const LlamaComplaints&) = delete;
  LlamaComplaints& operator=(const LlamaComplaints&) = delete;
  // The first one, without the name of the function that wrote it; empty: none.
  std::string first() const;

  void add(std::string line);

 private:
  std::string first_;
  LlamaComplaints* outer_;
};

}  // namespace colloquy::llm
