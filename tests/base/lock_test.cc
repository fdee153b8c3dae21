#include "base/file.h"
#include "base/uring_queue.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/wait.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <vector>

namespace actable::base {
namespace {

using namespace std::chrono_literals;
using test::TemporaryDirectory;

constexpr std::size_t k_piece_bytes = std::size_t{1} << 20;
constexpr std::uint64_t k_pieces = 200;

/// Takes the lock, has the queue hold it, leaves writes in flight, and is killed.
[[noreturn]] void write_and_die(const std::filesystem::path& directory) {
  auto lock = posix_file_system().lock(directory);
  auto queue = make_uring_queue();
  auto file = posix_file_system().open(directory / "data", {.create = false, .write = true, .direct = true});
  if (!lock || !queue || !file) _exit(1);
  (*queue)->hold(**lock);
  auto* const bytes = static_cast<std::byte*>(std::aligned_alloc(k_block_bytes, k_piece_bytes));
  std::fill_n(bytes, k_piece_bytes, std::byte{1});
  for (std::uint64_t i = 0; i < k_pieces; ++i) {
    (*queue)->submit_write(**file, i * k_piece_bytes, std::span(bytes, k_piece_bytes), i);
  }
  std::vector<Completion> done;
  (*queue)->wait(1ns, done);  // starts them
  kill(getpid(), SIGKILL);
  _exit(2);
}

std::vector<bool> pieces_written(File& file) {
  std::vector<bool> written;
  // The last first: they are the likeliest to be late.
  for (std::uint64_t i = k_pieces; i-- > 0;) {
    std::array<std::byte, 1> last{};
    REQUIRE(file.read((i + 1) * k_piece_bytes - 1, last));
    written.push_back(last[0] == std::byte{1});
  }
  return written;
}

}  // namespace

TEST_CASE("a killed process keeps its directory until the kernel has carried out its writes") {
  if (!make_uring_queue()) return;  // only io_uring goes on writing for the dead
  for (int run = 0; run < 4; ++run) {
    const TemporaryDirectory directory;
    auto file = posix_file_system().open(directory / "data", {.create = true, .write = true, .direct = true});
    REQUIRE(file);
    // Written before, so that the writes in question need nothing but the disk.
    auto* const zeros = static_cast<std::byte*>(std::aligned_alloc(k_block_bytes, k_piece_bytes));
    std::fill_n(zeros, k_piece_bytes, std::byte{0});
    for (std::uint64_t i = 0; i < k_pieces; ++i) {
      REQUIRE((*file)->write(i * k_piece_bytes, std::span(zeros, k_piece_bytes)));
    }
    std::free(zeros);
    REQUIRE((*file)->sync());
    const pid_t child = fork();
    if (child == 0) write_and_die(directory.path());
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    // As `lock` does, but for what it does afterwards, which takes long enough
    // to hide writes that are late.
    const int lock = open((directory / "LOCK").c_str(), O_RDWR | O_CLOEXEC);
    test::until("the lock is free", [&] { return flock(lock, LOCK_EX | LOCK_NB) == 0; });
    const std::vector<bool> found = pieces_written(**file);
    CHECK(test::stays(50ms, [&] { return pieces_written(**file) == found; }));
    close(lock);
    CHECK(posix_file_system().lock(directory.path()));
  }
}

}  // namespace actable::base
