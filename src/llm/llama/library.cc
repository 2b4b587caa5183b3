#include "llm/llama/library.h"

#include <dlfcn.h>
#include <ggml-backend.h>
#include <llama.h>

#include <filesystem>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "telemetry/log.h"

namespace colloquy::llm {
namespace {

thread_local LlamaComplaints* complaints = nullptr;

// "llama_model_load: error loading model: …" without what only its authors need.
std::string plain(std::string line) {
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
  const auto colon = line.find(": ");
  if (colon != std::string::npos && line.find(' ') > colon) line.erase(0, colon + 2);
  return line;
}

void on_log(ggml_log_level level, const char* text, void* /*unused*/) {
  if (level != GGML_LOG_LEVEL_ERROR || text == nullptr) return;
  std::string line = plain(text);
  if (line.empty()) return;
  if (complaints != nullptr) {
    complaints->add(std::move(line));
  } else {
    telemetry::log_warning("llm.llama", {{"detail", line}});
  }
}

// The folder of llama.cpp's libraries, where it has one for each kind of processor too.
std::string library_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&llama_backend_init), &info) == 0) return ".";
  return std::filesystem::path(info.dli_fname).parent_path().string();
}

}  // namespace

void start_llama() {
  static std::once_flag once;
  std::call_once(once, [] {
    llama_log_set(on_log, nullptr);
    llama_backend_init();
    const LlamaComplaints quiet;
    ggml_backend_load_all_from_path(library_folder().c_str());
  });
  if (ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU) == nullptr) {
    throw internal_error("llama.cpp's libraries for this processor are not in " + library_folder());
  }
}

LlamaComplaints::LlamaComplaints() : outer_(std::exchange(complaints, this)) {}
LlamaComplaints::~LlamaComplaints() { complaints = outer_; }
std::string LlamaComplaints::first() const { return first_; }
void LlamaComplaints::add(std::string line) {
  if (first_.empty()) first_ = std::move(line);
}

}  // namespace colloquy::llm
