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
    CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE_PROGRAM})
endif()

# The headers that nearly every file reads, compiled once for the program's code and once for that of tests, which is not optimized.
# Only in the builds with sanitizers: what a file forgets to include shows in the others.
if(COLLOQUY_PRECOMPILE)
  # Else ccache would never find what was compiled with them.
  add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
  file(TOUCH ${CMAKE_BINARY_DIR}/precompiled.cc)
  add_library(colloquy_precompiled OBJECT ${CMAKE_BINARY_DIR}/precompiled.cc)
  target_link_libraries(colloquy_precompiled PRIVATE Boost::json Threads::Threads)
  add_library(colloquy_precompiled_unoptimized OBJECT ${CMAKE_BINARY_DIR}/precompiled.cc)
  target_compile_options(colloquy_precompiled_unoptimized PRIVATE -O0)
  target_link_libraries(colloquy_precompiled_unoptimized PRIVATE Boost::json Threads::Threads)
  set(headers <algorithm> <chrono> <filesystem> <functional> <map> <memory> <mutex> <optional> <string> <thread> <vector>
    <boost/asio/any_io_executor.hpp> <boost/asio/co_spawn.hpp> <boost/asio/ip/tcp.hpp> <boost/asio/steady_timer.hpp>
    <boost/asio/use_awaitable.hpp> <boost/json.hpp>)
  target_precompile_headers(colloquy_precompiled PRIVATE ${headers})
  if(COLLOQUY_TESTS)
    target_link_libraries(colloquy_precompiled_unoptimized PRIVATE GTest::gmock)
    list(APPEND headers <gmock/gmock.h> <gtest/gtest.h>)
  endif()
  target_precompile_headers(colloquy_precompiled_unoptimized PRIVATE ${headers})
endif()

function(colloquy_precompile target headers)
  if(COLLOQUY_PRECOMPILE)
    target_precompile_headers(${target} REUSE_FROM ${headers})
  endif()
endfunction()

# colloquy_library(<name> SOURCES … USES …): the library of one folder, with what it may include.
function(colloquy_library name)
  cmake_parse_arguments(LIB "" "" "SOURCES;USES" ${ARGN})
  add_library(colloquy_${name} STATIC ${LIB_SOURCES})
  target_link_libraries(colloquy_${name} PUBLIC ${LIB_USES})
  colloquy_precompile(colloquy_${name} colloquy_precompiled)
endfunction()

# Code of tests is compiled often and runs little: with its coroutines, optimizing takes longer than it saves.
function(colloquy_unoptimized target)
  target_compile_options(${target} PRIVATE -O0)
  colloquy_precompile(${target} colloquy_precompiled_unoptimized)
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
