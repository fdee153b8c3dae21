#include "base/read_ahead.h"

#include "base/bytes.h"
#include "base/failure.h"
#include "base/signals.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <system_error>

namespace actable::base {
namespace {

std::unexpected<Error> no_memory_to_read() noexcept {
  return failure(ErrorCode::no_memory, "memory is exhausted: reading ahead; nothing was changed");
}

}  // namespace

WindowMemory::Pool::~Pool() {
  for (std::byte* const piece : free) std::free(piece);
}

void WindowMemory::Pool::give_back(std::byte* piece) noexcept {
  {
    const std::lock_guard lock(mutex);
    // Room for it was made when it was taken.
    if (free.size() < free.capacity()) {
      free.push_back(piece);
      return;
    }
  }
  std::free(piece);
}

std::shared_ptr<std::byte> WindowMemory::take() {
  std::byte* piece = nullptr;
  {
    const std::lock_guard lock(pool_->mutex);
    if (!pool_->free.empty()) {
      piece = pool_->free.back();
      pool_->free.pop_back();
    } else {
      pool_->free.reserve(pool_->free.capacity() + 1);
    }
  }
  if (piece == nullptr) piece = static_cast<std::byte*>(std::aligned_alloc(k_block_bytes, pool_->bytes));
  if (piece == nullptr) return nullptr;
  return {piece, [pool = pool_](std::byte* back) { pool->give_back(back); }};
}

ReadAhead::ReadAhead(unsigned threads) {
  const AllSignalsBlocked blocked;
  try {
    for (unsigned i = 0; i < threads; ++i) {
      threads_.emplace_back([this](std::stop_token stopped) { run(std::move(stopped)); });
    }
  } catch (const std::system_error&) {
    // With fewer, then.
  }
}

ReadAhead::~ReadAhead() {
  for (std::jthread& thread : threads_) thread.request_stop();
  threads_.clear();
}

void ReadAhead::add(File& file, std::uint64_t begin, std::uint64_t end) {
  const std::lock_guard lock(mutex_);
  if (begin < end) sources_.push_back({&file, begin, end});
  plan();
}

void ReadAhead::drop(const File& file) {
  std::unique_lock lock(mutex_);
  std::erase_if(sources_, [&file](const Source& source) { return source.file == &file; });
  // First those that nobody has begun to read, so that nobody does.
  const auto idle = [&file](const Window& window) { return window.file == &file && window.state != State::reading; };
  std::erase_if(windows_, idle);
  const auto reads = [&file](const Window& window) { return window.file == &file; };
  changed_.wait(lock, [&] {
    std::erase_if(windows_, idle);
    return std::ranges::none_of(windows_, reads);
  });
  plan();
}

void ReadAhead::plan() {
  while (windows_.size() < k_windows && !sources_.empty()) {
    Source& source = sources_.front();
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(k_window_bytes, source.end - source.next));
    windows_.push_back({.file = source.file, .offset = source.next, .wanted = wanted});
    source.next += wanted;
    if (source.next == source.end) sources_.pop_front();
    changed_.notify_all();
  }
}

void ReadAhead::run(std::stop_token stopped) {
  std::unique_lock lock(mutex_);
  while (!stopped.stop_requested()) {
    const auto next = std::ranges::find(windows_, State::waiting, &Window::state);
    if (next != windows_.end()) {
      read(*next, lock);
      continue;
    }
    const auto there = [this] { return std::ranges::find(windows_, State::waiting, &Window::state) != windows_.end(); };
    changed_.wait(lock, stopped, there);
  }
}

void ReadAhead::read(Window& window, std::unique_lock<std::mutex>& lock) {
  // Nobody takes away a window that is being read.
  window.state = State::reading;
  lock.unlock();
  std::shared_ptr<std::byte> memory;
  Result<std::size_t> found = std::size_t{0};
  try {
    memory = memory_.take();
    if (memory == nullptr) {
      found = no_memory_to_read();
    } else {
      const std::size_t blocks = round_up(window.wanted, k_block_bytes);
      found = window.file->read_direct(window.offset, {memory.get(), blocks});
      if (found) *found = std::min(*found, window.wanted);
    }
  } catch (const std::bad_alloc&) {
    found = no_memory_to_read();
  }
  lock.lock();
  window.memory = std::move(memory);
  window.found = std::move(found);
  window.state = State::read;
  changed_.notify_all();
}

void ReadAhead::finish(Window& window, std::unique_lock<std::mutex>& lock) {
  if (window.state == State::waiting && threads_.empty()) return read(window, lock);
  changed_.wait(lock, [&window] { return window.state == State::read; });
}

/// True when the window that holds `offset` is then the first one.
bool ReadAhead::reaches(const File& file, std::uint64_t offset, std::unique_lock<std::mutex>& lock) {
  const auto holds = [&](const Window& window) {
    return window.file == &file && window.offset <= offset && offset < window.offset + window.wanted;
  };
  const auto found = std::ranges::find_if(windows_, holds);
  if (found == windows_.end()) return false;
  changed_.wait(lock, [&] {
    return std::none_of(windows_.begin(), found, [](const Window& w) { return w.state == State::reading; });
  });
  windows_.erase(windows_.begin(), found);
  plan();
  return true;
}

Result<std::optional<FileView>> ReadAhead::view(const File& file, std::uint64_t offset, std::size_t bytes) {
  std::unique_lock lock(mutex_);
  if (!reaches(file, offset, lock)) return std::nullopt;
  Window& first = windows_.front();
  finish(first, lock);
  if (!first.found) return std::unexpected(first.found.error());
  const auto at = static_cast<std::size_t>(offset - first.offset);
  if (at + bytes > first.wanted) return gathered(offset, bytes, lock);
  const std::size_t there = std::min(at, *first.found);
  return FileView{{first.memory.get() + there, std::min(bytes, *first.found - there)}, first.memory};
}

/// What lies in more than one window is copied together.
Result<std::optional<FileView>> ReadAhead::gathered(std::uint64_t offset, std::size_t bytes,
                                                    std::unique_lock<std::mutex>& lock) {
  const File* const file = windows_.front().file;
  const std::shared_ptr<std::byte[]> copy = std::make_shared_for_overwrite<std::byte[]>(bytes);
  std::size_t done = 0;
  while (done < bytes) {
    if (windows_.empty() || windows_.front().file != file || windows_.front().offset > offset + done) break;
    Window& window = windows_.front();
    finish(window, lock);
    if (!window.found) return std::unexpected(window.found.error());
    const auto at = static_cast<std::size_t>(offset + done - window.offset);
    if (at >= *window.found) break;
    const std::size_t part = std::min(bytes - done, *window.found - at);
    std::memcpy(copy.get() + done, window.memory.get() + at, part);
    done += part;
    // The last one has more than what was copied.
    if (done == bytes || *window.found < window.wanted) break;
    windows_.pop_front();
    plan();
  }
  const std::shared_ptr<const std::byte> memory(copy, copy.get());
  return FileView{{copy.get(), done}, memory};
}

}  // namespace actable::base
