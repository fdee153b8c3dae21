#pragma once

#include "table/record.h"

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/// Buckets and segments of the hash table; table/hash_table.h says how they
/// are used.
namespace actable::table {

/// A slot's word: 16 bits of tag, 45 bits of record address, three flags. An
/// empty slot is 0, or only the frozen flag.
namespace slot {

inline constexpr std::uint64_t k_frozen = 1;
inline constexpr std::uint64_t k_tombstone = 2;
inline constexpr std::uint64_t k_address = 0x0000'ffff'ffff'fff8;

[[nodiscard]] inline Record* record(std::uint64_t word) noexcept { return reinterpret_cast<Record*>(word & k_address); }
[[nodiscard]] constexpr bool empty(std::uint64_t word) noexcept { return (word & k_address) == 0; }
[[nodiscard]] constexpr bool frozen(std::uint64_t word) noexcept { return (word & k_frozen) != 0; }
[[nodiscard]] constexpr bool tombstone(std::uint64_t word) noexcept { return (word & k_tombstone) != 0; }
[[nodiscard]] constexpr std::uint64_t tag(std::uint64_t word) noexcept { return word >> 48; }

/// The tag is the hash's bits 55 to 40. The directory consumes the hash from
/// bit 63 downwards: from depth 8 to depth 23 the bit that decides a split is
/// in the tag, and no record needs to be touched.
[[nodiscard]] constexpr std::uint64_t tag_of(std::uint64_t hash) noexcept { return hash >> 40 & 0xffff; }
[[nodiscard]] constexpr bool tag_holds_bit(unsigned bit) noexcept { return bit >= 40 && bit < 56; }

[[nodiscard]] inline std::uint64_t word(std::uint64_t hash_tag, const Record* record, bool is_tombstone) noexcept {
  return hash_tag << 48 | reinterpret_cast<std::uintptr_t>(record) | (is_tombstone ? k_tombstone : 0);
}

}  // namespace slot

/// Seven slots and a control word: the index of the next bucket of the chain
/// plus one (0: none), and the frozen flag.
struct alignas(64) Bucket {
  static constexpr unsigned k_slots = 7;
  static constexpr std::uint64_t k_control_frozen = std::uint64_t{1} << 63;
  static constexpr std::uint64_t k_control_next = 0xffff'ffff;

  /// The slots that seemed to have a tag a moment ago, an empty one if the tag
  /// is 0: a hint. What it names must be read again; what it does not name may
  /// be there nevertheless.
  class Hint {
   public:
    explicit Hint(unsigned bits) noexcept : bits_(bits) {}
    [[nodiscard]] explicit operator bool() const noexcept { return bits_ != 0; }
    [[nodiscard]] unsigned slot() const noexcept { return static_cast<unsigned>(std::countr_zero(bits_)) / 2; }
    void next() noexcept { bits_ &= bits_ - 1; }

   private:
    // Every second bit stands for a slot.
    unsigned bits_;
  };

  /// Without a branch: which slot it is cannot be foretold. With few
  /// instructions, too: they all wait for the bucket, and what waits is in the
  /// way of what comes behind, of the next operation's reading for one.
  [[nodiscard]] Hint with_tag_of(std::uint64_t hash) const noexcept;

  std::array<std::atomic<std::uint64_t>, k_slots> slots;
  std::atomic<std::uint64_t> control;
};
static_assert(sizeof(Bucket) == 64);

#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
[[gnu::always_inline]] inline Bucket::Hint Bucket::with_tag_of(std::uint64_t hash) const noexcept {
  // Not atomic by the letter, hence a hint; here each word is read whole.
  const auto* const words = reinterpret_cast<const float*>(this);
  // The upper halves of four words, each with its tag in the upper half of that.
  const auto upper = [words](unsigned word) {
    constexpr int k_odd = 0b11'01'11'01;
    return _mm_castps_si128(_mm_shuffle_ps(_mm_load_ps(words + 2 * word), _mm_load_ps(words + 2 * word + 4), k_odd));
  };
  // The tag in the upper half here too; what is below it is not looked at.
  const __m128i wanted = _mm_set1_epi32(static_cast<int>(hash >> 24));
  // Two bytes for each word, of which the upper one is of its tag.
  const __m128i bytes = _mm_packs_epi16(_mm_cmpeq_epi16(upper(0), wanted), _mm_cmpeq_epi16(upper(4), wanted));
  constexpr unsigned k_slots_only = 0x2aaa;
  return Hint(static_cast<unsigned>(_mm_movemask_epi8(bytes)) & k_slots_only);
}
#else
[[gnu::always_inline]] inline Bucket::Hint Bucket::with_tag_of(std::uint64_t hash) const noexcept {
  const std::uint64_t tag = slot::tag_of(hash);
  unsigned found = 0;
  for (unsigned i = 0; i < k_slots; ++i) {
    found |= static_cast<unsigned>(slot::tag(slots[i].load(std::memory_order_relaxed)) == tag) << (2 * i);
  }
  return Hint(found);
}
#endif

/// Whether a segment that was made of two takes their place; see table/merge.cc.
enum class Merge : std::uint8_t {
  /// It was made of one, as all but a few are.
  none,
  pending,
  done,
  given_up,
};

/// All keys whose hash begins with `prefix` (its top `depth` bits).
struct alignas(64) Segment {
  static constexpr unsigned k_home_buckets = 128;
  // Keys fall on buckets as a Poisson process. At 5.4 keys a bucket 18 % of the
  // buckets hold more than 7, so about 23 chain buckets are used up when 690
  // keys are in: 14 bytes of table a key in a full segment, 28 after a split.
  static constexpr std::uint32_t k_chain_buckets = 23;

  std::uint64_t prefix;
  std::uint32_t depth;
  std::uint32_t chain_capacity;
  std::atomic<std::uint32_t> chain_used{0};
  std::atomic<Merge> merge{Merge::none};
  /// How many `replacement`s may name it, of a merge that is not done.
  std::atomic<std::uint8_t> claims{0};
  /// No entry of the directory names it any more, and it was retired.
  std::atomic<bool> retired{false};
  /// Set when a copy of the frozen segment is complete: the segment that takes its
  /// place, or the first of two; `sibling` of that is the second. Set once, but
  /// that another may come after a merge that was given up.
  std::atomic<Segment*> replacement{nullptr};
  Segment* sibling = nullptr;

  [[nodiscard]] Bucket* buckets() noexcept { return reinterpret_cast<Bucket*>(this + 1); }
  [[nodiscard]] Bucket& home(std::uint64_t hash) noexcept { return buckets()[hash % k_home_buckets]; }
  /// Where that bucket is, or would be if there were a segment.
  [[nodiscard]] static const void* home_address(std::uint64_t segment, std::uint64_t hash) noexcept {
    return reinterpret_cast<const void*>(segment + sizeof(Segment) + hash % k_home_buckets * sizeof(Bucket));
  }
  /// The bucket that a control word leads to, or null.
  [[nodiscard]] Bucket* next(std::uint64_t control) noexcept {
    const std::uint64_t index = control & Bucket::k_control_next;
    return index == 0 ? nullptr : buckets() + k_home_buckets + (index - 1);
  }

  [[nodiscard]] static constexpr std::size_t bytes_for(std::uint32_t chain_buckets) noexcept {
    return sizeof(Segment) + (k_home_buckets + std::size_t{chain_buckets}) * sizeof(Bucket);
  }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_for(chain_capacity); }
};
static_assert(sizeof(Segment) == 64);
static_assert(Segment::bytes_for(Segment::k_chain_buckets) == 9728);  // A size class: nothing is wasted.

}  // namespace actable::table
