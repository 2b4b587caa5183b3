// Linked into every program that is built for the thread sanitizer, and into no other.
//
// Debian's libraries are not built for it. It therefore sees their copies of memory, and the
// freeing of an exception that threads share, and not the atomics that order them.

extern "C" const char* __tsan_default_suppressions();   // NOLINT(bugprone-reserved-identifier)
extern "C" const char* __tsan_default_suppressions() {  // NOLINT(bugprone-reserved-identifier)
  return "called_from_lib:librocksdb.so\n"
         "called_from_lib:libstdc++.so\n"  // which librocksdb.so calls
         "called_from_lib:libzstd.so\n"
         "called_from_lib:liblz4.so\n"
         "race:std::__exception_ptr::exception_ptr::_M_release\n"
         "race:librocksdb.so\n";
}
