// A program that tests start: opens the store in a directory, says on its
// standard output what came of it, and keeps it open until its standard input
// ends.
//
//   test_store_opener DIRECTORY [nobody]
//
// With `nobody` it gives up root's rights first, where it has them.

#include "tests/store/vocabulary.h"

#include <grp.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <string_view>

namespace {

constexpr unsigned k_nobody = 65534;

bool become_nobody() {
  if (::geteuid() != 0) return true;
  return ::setgroups(0, nullptr) == 0 && ::setgid(k_nobody) == 0 && ::setuid(k_nobody) == 0;
}

}  // namespace

int main(int argc, char* argv[]) {
  using namespace actable;
  if (argc < 2) return 2;
  if (argc > 2 && std::string_view(argv[2]) == "nobody" && !become_nobody()) {
    std::cout << "cannot become nobody" << std::endl;
    return 2;
  }
  const auto store = Store::open(test::small_store(argv[1]));
  std::cout << (store ? "opened" : test::describe(store.error())) << std::endl;
  while (std::getchar() != EOF) {
  }
  return 0;
}
