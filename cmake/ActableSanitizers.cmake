# ACTABLE_SANITIZE builds everything, tests included, with GCC's or clang's
# sanitizers. Any finding ends the program: nothing is reported and survived.

set(ACTABLE_SANITIZE "" CACHE STRING "Sanitizers to build with: empty, `address` (and undefined behaviour), or `thread`")
set_property(CACHE ACTABLE_SANITIZE PROPERTY STRINGS "" address thread)

set(ACTABLE_SANITIZE_FLAGS "")
set(ACTABLE_TEST_ENVIRONMENT "")
set(ACTABLE_TEST_TIMEOUT_FACTOR 1)
if(ACTABLE_SANITIZE STREQUAL "address")
  set(ACTABLE_SANITIZE_FLAGS -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  set(ACTABLE_TEST_ENVIRONMENT "ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1"
    "LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/leaks.txt:print_suppressions=0"
    "UBSAN_OPTIONS=print_stacktrace=1")
  set(ACTABLE_TEST_TIMEOUT_FACTOR 4)
elseif(ACTABLE_SANITIZE STREQUAL "thread")
  set(ACTABLE_SANITIZE_FLAGS -fsanitize=thread -fno-omit-frame-pointer)
  set(ACTABLE_TEST_ENVIRONMENT "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1")
  set(ACTABLE_TEST_TIMEOUT_FACTOR 6)
elseif(ACTABLE_SANITIZE)
  message(FATAL_ERROR "ACTABLE_SANITIZE is `${ACTABLE_SANITIZE}`; it takes `address` or `thread`")
endif()
add_compile_options(${ACTABLE_SANITIZE_FLAGS})
add_link_options(${ACTABLE_SANITIZE_FLAGS})

# The sanitizers of GCC 12 map their shadow at fixed addresses, which a kernel
# with vm.mmap_rnd_bits above 28 may have given to something else: the program
# dies with "unexpected memory mapping" before main. So sanitized tests run
# without address randomisation, where the sandbox lets a process choose.
set(ACTABLE_TEST_LAUNCHER "")
if(ACTABLE_SANITIZE)
  find_program(ACTABLE_SETARCH setarch)
  if(ACTABLE_SETARCH)
    execute_process(COMMAND ${ACTABLE_SETARCH} -R true RESULT_VARIABLE refused OUTPUT_QUIET ERROR_QUIET)
    if(refused EQUAL 0)
      set(ACTABLE_TEST_LAUNCHER ${ACTABLE_SETARCH} -R)
    endif()
  endif()
  if(NOT ACTABLE_TEST_LAUNCHER)
    message(STATUS "Cannot switch off address randomisation (setarch -R); sanitized programs may fail to start")
  endif()
endif()
