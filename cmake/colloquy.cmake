# The compiler's settings and the functions that every folder uses.

add_compile_options(-Wall -Wextra -Wpedantic -Wconversion -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # Wrong about coroutine frames and std::optional in gcc 12 (its bugs 105562, 80635, 103993).
  add_compile_options(-Wno-maybe-uninitialized -Wno-restrict -Wno-mismatched-new-delete)
endif()

# Asio's and Beast's bodies are compiled once, in src/base.
add_compile_definitions(
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED)

if(COLLOQUY_SANITIZE)
  set(flags -fno-omit-frame-pointer -g1)
  if(COLLOQUY_SANITIZE STREQUAL "address")
    # clang 14 cannot check function types in coroutines: its own relocation fails.
    list(APPEND flags -fsanitize=address,undefined -fno-sanitize=function -fno-sanitize-recover=all)
  else()
    list(APPEND flags -fsanitize=${COLLOQUY_SANITIZE})
  endif()
  add_compile_options(${flags})
  add_link_options(${flags})
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # Clones of the project in other folders share what was compiled.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
    CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE_PROGRAM})
endif()

# colloquy_library(<name> SOURCES … USES …): the library of one folder, with what it may include.
function(colloquy_library name)
  cmake_parse_arguments(LIB "" "" "SOURCES;USES" ${ARGN})
  add_library(colloquy_${name} STATIC ${LIB_SOURCES})
  target_link_libraries(colloquy_${name} PUBLIC ${LIB_USES})
endfunction()

# Code of tests is compiled often and runs little: with its coroutines, optimizing takes longer than it saves.
function(colloquy_unoptimized target)
  target_compile_options(${target} PRIVATE -O0)
endfunction()

# Tells the thread sanitizer, in a program built for it, what it does not see (base/testing/thread_sanitizer.cc).
function(colloquy_suppressions program)
  if(COLLOQUY_SANITIZE STREQUAL "thread")
    target_sources(${program} PRIVATE ${PROJECT_SOURCE_DIR}/src/base/testing/thread_sanitizer.cc)
  endif()
endfunction()

# colloquy_test(<name> SOURCES … USES …): one GoogleTest program, registered with ctest.
function(colloquy_test name)
  if(NOT COLLOQUY_TESTS)
    return()
  endif()
  cmake_parse_arguments(TEST "" "TIMEOUT" "SOURCES;USES" ${ARGN})
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 300)
  endif()
  add_executable(${name} ${TEST_SOURCES})
  target_link_libraries(${name} PRIVATE ${TEST_USES} GTest::gmock GTest::gtest_main)
  colloquy_unoptimized(${name})
  colloquy_suppressions(${name})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${TEST_TIMEOUT})
endfunction()
