#include "store/checks.h"

#include "base/failure.h"
#include "base/file.h"
#include "base/thread_index.h"
#include "base/utf8.h"

#include <bit>
#include <chrono>
#include <cstdint>
#include <string>

namespace actable::store {
namespace {

using std::chrono::milliseconds;

std::unexpected<Error> out_of_range(const char* option, const std::string& value, const char* allowed) {
  return base::failure(ErrorCode::invalid_argument,
                       [&] { return std::string("Options::") + option + " is " + value + "; it must be " + allowed; });
}

std::string text(milliseconds time) { return std::to_string(time.count()) + " ms"; }

constexpr std::uint64_t k_mib = std::uint64_t{1} << 20;
constexpr std::uint64_t k_gib = std::uint64_t{1} << 30;

Result<void> check_checkpoint_options(const Options& options) {
  const milliseconds interval = options.checkpoint_interval;
  if (interval != milliseconds(0) && (interval < milliseconds(1'000) || interval > std::chrono::hours(24 * 365))) {
    return out_of_range("checkpoint_interval", text(interval), "0, or from 1 s to 365 days");
  }
  const unsigned percent = options.checkpoint_log_percent;
  if (percent != 0 && (percent < 10 || percent > 100'000)) {
    return out_of_range("checkpoint_log_percent", std::to_string(percent), "0, or from 10 to 100000");
  }
  if (options.checkpoint_log_bytes_min < k_mib || options.checkpoint_log_bytes_min > 1024 * k_gib) {
    return out_of_range("checkpoint_log_bytes_min", std::to_string(options.checkpoint_log_bytes_min),
                        "from 1 MiB to 1 TiB");
  }
  const std::uint64_t rate = options.checkpoint_bytes_per_second;
  if (rate != 0 && (rate < k_mib || rate > 1024 * k_gib)) {
    return out_of_range("checkpoint_bytes_per_second", std::to_string(rate), "0, or from 1 MiB to 1 TiB");
  }
  if (options.checkpoint_nice < 0 || options.checkpoint_nice > 19) {
    return out_of_range("checkpoint_nice", std::to_string(options.checkpoint_nice), "from 0 to 19");
  }
  const int level = options.checkpoint_compression_level;
  if (level < 1 || level > 19) {
    return out_of_range("checkpoint_compression_level", std::to_string(level), "from 1 to 19");
  }
  switch (options.checkpoint_compression) {
    case CheckpointCompression::none:
    case CheckpointCompression::zstd:
      return {};
  }
  return out_of_range("checkpoint_compression", std::to_string(static_cast<int>(options.checkpoint_compression)),
                      "one of CheckpointCompression's values");
}

}  // namespace

Result<void> check_options(const Options& options) {
  if (options.shards != 0 && (!std::has_single_bit(options.shards) || options.shards > k_shards_max)) {
    return out_of_range("shards", std::to_string(options.shards), "0 or a power of two up to 4096");
  }
  if (options.write_interval < milliseconds(1) || options.write_interval > milliseconds(10'000)) {
    return out_of_range("write_interval", text(options.write_interval), "from 1 ms to 10 s");
  }
  if (options.sync_interval < options.write_interval || options.sync_interval > milliseconds(60'000)) {
    return out_of_range("sync_interval", text(options.sync_interval), "from write_interval to 60 s");
  }
  if (options.segment_bytes < k_mib || options.segment_bytes > 4 * k_gib ||
      options.segment_bytes % base::k_block_bytes != 0) {
    return out_of_range("segment_bytes", std::to_string(options.segment_bytes),
                        "from 1 MiB to 4 GiB and a multiple of 4096");
  }
  if (options.staging_bytes < k_mib || options.staging_bytes > 4 * k_gib) {
    return out_of_range("staging_bytes", std::to_string(options.staging_bytes), "from 1 MiB to 4 GiB");
  }
  if (options.write_deadline < milliseconds(0) || options.write_deadline > std::chrono::hours(1)) {
    return out_of_range("write_deadline", text(options.write_deadline), "from 0 to 1 h");
  }
  if (options.retired_bytes < k_mib || options.retired_bytes > 64 * k_gib) {
    return out_of_range("retired_bytes", std::to_string(options.retired_bytes), "from 1 MiB to 64 GiB");
  }
  if (options.log_nice < -20 || options.log_nice > 0) {
    return out_of_range("log_nice", std::to_string(options.log_nice), "from -20 to 0");
  }
  if (auto checked = check_checkpoint_options(options); !checked) return checked;
  if (options.debug_socket) {
    return base::failure(ErrorCode::unsupported,
                         "Options::debug_socket is served by the store's actors: open the store with actable::start "
                         "(<actable/actors.h>), or leave the option off");
  }
  switch (options.log_io) {
    case LogIo::automatic:
    case LogIo::io_uring:
    case LogIo::pwrite:
      return {};
  }
  return out_of_range("log_io", std::to_string(static_cast<int>(options.log_io)), "one of LogIo's values");
}

Result<void> check_space_name(std::string_view name) {
  if (name.empty())
    return base::failure(ErrorCode::invalid_argument, "a space's name is empty; give it 1 to 255 bytes");
  if (name.size() > k_space_name_bytes_max) {
    return base::failure(ErrorCode::invalid_argument, [&] {
      return "a space's name is " + std::to_string(name.size()) + " bytes long; the limit is 255";
    });
  }
  for (std::size_t at = 0; at < name.size();) {
    const base::CodePoint point = base::first_code_point(name.substr(at));
    if (point.bytes == 0) {
      return base::failure(ErrorCode::invalid_argument, [&] {
        return "a space's name is not UTF-8 at byte " + std::to_string(at) + "; encode it, or use another";
      });
    }
    if (base::is_control(point.value)) {
      return base::failure(ErrorCode::invalid_argument, [&] {
        return "a space's name has a control character at byte " + std::to_string(at) + "; leave it out";
      });
    }
    at += point.bytes;
  }
  return {};
}

std::unexpected<Error> bad_key(std::string_view key) {
  if (key.empty()) return base::failure(ErrorCode::invalid_argument, "the key is empty; a key has 1 to 65535 bytes");
  return base::failure(ErrorCode::too_large, [&] {
    return "the key is " + std::to_string(key.size()) +
           " bytes long; the limit is 65535: use a hash of it, or put part in the value";
  });
}

std::unexpected<Error> bad_value(std::string_view value) {
  return base::failure(ErrorCode::too_large, [&] {
    return "the value is " + std::to_string(value.size()) + " bytes long; the limit is " +
           std::to_string(k_value_bytes_max) + ": divide it over several keys";
  });
}

std::unexpected<Error> no_place_for_thread() {
  if (base::thread_index_lacks_memory()) return no_memory("a thread's place");
  return base::failure(ErrorCode::overloaded, [&] {
    return "more than " + std::to_string(k_threads_max) +
           " threads use stores at once, or this thread is ending; nothing was "
           "changed: let some threads end, or use a pool of them";
  });
}

std::unexpected<Error> no_memory(std::string_view what) noexcept {
  return base::failure(ErrorCode::no_memory,
                       [&] { return "no memory for " + std::string(what) + "; nothing was changed"; });
}

}  // namespace actable::store
