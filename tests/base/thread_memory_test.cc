#include "base/thread_index.h"
#include "tests/support/catch.h"
#include "tests/support/forked.h"

#include <atomic>
#include <cstdlib>
#include <new>
#include <thread>
#include <utility>

#include <pthread.h>
#include <sys/resource.h>

// A thread that asks for its index where no memory is left. A program of its own: it
// decides which of the system's keys the index is kept under.
namespace actable::base {
namespace {

/// The C library keeps what is under a thread's first 32 keys in the thread itself, and
/// asks for memory for the others.
void use_up_first_keys() {
  for (int i = 0; i < 40; ++i) {
    pthread_key_t key{};
    if (pthread_key_create(&key, nullptr) != 0) std::abort();
  }
}

/// All memory that the process may still have, down to the smallest piece.
///
/// Thread safety: *confined*.
class Hog {
 public:
  Hog() {
    for (std::size_t bytes = k_piece_bytes_max; bytes >= sizeof(Piece); bytes /= 2) {
      for (; pieces_ < k_pieces_max; ++pieces_) {
        void* const memory = std::malloc(bytes);
        if (memory == nullptr) break;
        first_ = new (memory) Piece{first_};
      }
    }
  }
  ~Hog() {
    while (first_ != nullptr) std::free(std::exchange(first_, first_->next));
  }
  Hog(const Hog&) = delete;
  Hog& operator=(const Hog&) = delete;

  /// Whether nothing more could be had.
  [[nodiscard]] bool has_all() const noexcept { return pieces_ < k_pieces_max; }

 private:
  struct Piece {
    Piece* next;
  };
  static constexpr std::size_t k_piece_bytes_max = std::size_t{1} << 20;
  // Where the limit is not kept to the machine is not eaten up.
  static constexpr std::size_t k_pieces_max = 100'000;
  Piece* first_ = nullptr;
  std::size_t pieces_ = 0;
};

enum Status : int { as_due, not_limited, found_memory, not_told_why, still_refused };

Status ask_without_memory() {
  use_up_first_keys();
  std::atomic<int> step{0};
  Status status = as_due;
  std::thread asks([&] {
    step.wait(0);
    if (thread_index() != k_no_thread_index) status = found_memory;
    if (status == as_due && !thread_index_lacks_memory()) status = not_told_why;
    step = 2;
    step.notify_one();
    step.wait(2);
    if (status == as_due && (thread_index() >= k_threads_max || thread_index_lacks_memory())) status = still_refused;
  });
  const rlimit none{1, RLIM_INFINITY};
  bool limited = ::setrlimit(RLIMIT_DATA, &none) == 0;
  {
    const Hog hog;
    limited = limited && hog.has_all();
    step = 1;
    step.notify_one();
    step.wait(1);
  }
  const rlimit as_before{RLIM_INFINITY, RLIM_INFINITY};
  limited = limited && ::setrlimit(RLIMIT_DATA, &as_before) == 0;
  step = 3;
  step.notify_one();
  asks.join();
  return limited ? status : not_limited;
}

}  // namespace

TEST_CASE("a thread for whose index there is no memory is told so, and gets one when there is") {
  const int outcome = test::in_forked_child([] { return static_cast<int>(ask_without_memory()); });
  if (outcome == not_limited) {
    WARN("this system does not keep to a limit on a process's data");
    return;
  }
  CHECK(outcome == as_due);
}

}  // namespace actable::base
