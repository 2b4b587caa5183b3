#include "keyring/folder_key_storage.h"

#include <sys/stat.h>

#include <utility>

#include "base/text.h"
#include "keyring/key_folder.h"

namespace colloquy::keyring {

FolderKeyStorage::FolderKeyStorage(const std::filesystem::path& folder, FileSystem& system)
    : folder_(std::make_shared<KeyFolder>(system, folder)) {}

FolderKeyStorage::~FolderKeyStorage() = default;

bool FolderKeyStorage::is_open_to_all() const {
  struct stat found {};
  return ::stat(folder_->path().c_str(), &found) == 0 && (found.st_mode & 0007U) != 0;
}

Task<std::string> FolderKeyStorage::id(bool make) {
  auto job = [folder = folder_, make] { return folder->id(make); };
  co_return co_await threads_.run(std::move(job));
}

Task<std::optional<KeyRecord>> FolderKeyStorage::find(std::string name) {
  auto job = [folder = folder_, name = std::move(name)] { return folder->find(name); };
  co_return co_await threads_.run(std::move(job));
}

Task<bool> FolderKeyStorage::put_new(std::string name, KeyRecord record) {
  auto job = [folder = folder_, name = std::move(name), record = std::move(record)] {
    return folder->put_new(name, record);
  };
  co_return co_await threads_.run(std::move(job));
}

Task<bool> FolderKeyStorage::replace(std::string name, KeyRecord before, KeyRecord after) {
  auto job = [folder = folder_, name = std::move(name), before = std::move(before),
              after = std::move(after)] { return folder->replace(name, before, after); };
  co_return co_await threads_.run(std::move(job));
}

Task<bool> FolderKeyStorage::erase(std::string name, std::string key_id) {
  auto job = [folder = folder_, name = std::move(name), key_id = std::move(key_id)] {
    return folder->erase(name, key_id);
  };
  co_return co_await threads_.run(std::move(job));
}

Task<KeyPage> FolderKeyStorage::list(std::string position) {
  auto job = [folder = folder_, position = std::move(position)] {
    const auto number = position.empty() ? std::string(1, '\0') : from_hex(position).value();
    auto page = folder->list(to_hex(number));
    const auto next = static_cast<unsigned char>(number.at(0));
    if (next != 0xff) page.next = to_hex(std::string(1, static_cast<char>(next + 1)));
    return page;
  };
  co_return co_await threads_.run(std::move(job));
}

}  // namespace colloquy::keyring
