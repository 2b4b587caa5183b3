#include "files/failure.h"

#include <cerrno>
#include <string>
#include <system_error>

namespace colloquy::files {

Error error_of(int error_number, std::string_view what) {
  std::string detail(what);
  detail += ": " + std::generic_category().message(error_number);
  if (error_number == ENOSPC || error_number == EDQUOT) {
    return {ErrorCode::kQuota, "There is no room left for files.", std::move(detail)};
  }
  return unavailable("The files cannot be reached at the moment.", std::move(detail));
}

Error error_of_writing(int error_number, std::string_view what) {
  if (means_bad_name(error_number)) {
    return invalid_field("path", "has a name that the file system here cannot have");
  }
  if (error_number == EACCES || error_number == EPERM) {
    return {ErrorCode::kConflict, "Another program does not allow this file to be written."};
  }
  return error_of(error_number, what);
}

bool means_bad_name(int error_number) {
  return error_number == ENAMETOOLONG || error_number == EILSEQ || error_number == EINVAL;
}

bool means_missing(int error_number) {
  if (means_bad_name(error_number)) return true;
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:  // a symbolic link
    case EXDEV:  // out of the folder
    case ENXIO:  // a socket
    case EISDIR:
    case EACCES:
    case EPERM:
      return true;
    default:
      return false;
  }
}

}  // namespace colloquy::files
