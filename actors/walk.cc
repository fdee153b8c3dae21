#include "actors/walk.h"

#include "debug/printable.h"
#include "debug/protocol.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace actable::actors {
namespace {

using debug::Bytes;
using debug::Document;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds k_step_time{1};
// The clock is asked once for so many keys.
constexpr unsigned k_keys_per_look = 64;
constexpr std::size_t k_reply_bytes = std::size_t{128} << 10;
// What an entry costs beside its key and value.
constexpr std::size_t k_entry_bytes = 32;

}  // namespace

Result<Document> Walk::step() {
  const Clock::time_point until = Clock::now() + k_step_time;
  for (unsigned keys = 1; !over_ && !full(); ++keys) {
    const Result<bool> next = cursor_.next();
    if (!next) return std::unexpected(next.error());
    if (!*next) {
      over_ = true;
      break;
    }
    ++looked_at_;
    const Entry& entry = cursor_.entry();
    if (entry.key.starts_with(prefix_)) over_ = !see(entry);
    if (keys % k_keys_per_look == 0 && Clock::now() >= until) break;
  }
  Document::Map map = result();
  map.push_back({"more", !over_});
  return Document(std::move(map));
}

bool ScanWalk::see(const Entry& entry) {
  if (left_ == 0) return false;
  bytes_ += entry.key.size() + entry.value.size() + k_entry_bytes;
  entries_.emplace_back(Document::List{Bytes{std::string(entry.key)}, entry.seq, Bytes{std::string(entry.value)}});
  return --left_ != 0;
}

bool ScanWalk::full() const noexcept { return bytes_ >= k_reply_bytes; }

Document::Map ScanWalk::result() {
  bytes_ = 0;
  return {{"entries", std::exchange(entries_, {})}};
}

Document::Map CountWalk::result() { return {{"count", count_}, {"looked_at", looked_at()}}; }

bool BigWalk::see(const Entry& entry) {
  const auto place = std::ranges::upper_bound(found_, entry.value.size(), std::greater<>(), &Big::value_bytes);
  if (found_.size() < top_ || place != found_.end()) {
    found_.insert(place, {std::string(debug::cut(entry.key, debug::k_listed_key_bytes_max)), entry.key.size(),
                          entry.value.size()});
    if (found_.size() > top_) found_.pop_back();
  }
  return --left_ != 0;
}

Document::Map BigWalk::result() {
  Document::List entries;
  for (const Big& big : found_) entries.emplace_back(Document::List{Bytes{big.key}, big.value_bytes, big.key_bytes});
  return {{"looked_at", looked_at()}, {"entries", std::move(entries)}};
}

}  // namespace actable::actors
