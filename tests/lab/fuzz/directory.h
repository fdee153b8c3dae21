#pragma once

#include "tests/support/simulated_disk.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace actable::lab::fuzz {

using Bytes = std::vector<std::byte>;

/// A store's directory as fuzzers change it, small: of each block only what
/// comes before its trailing zeros.
///
/// As bytes: a byte that says how many bytes STORE has, and those (none: there
/// is no STORE); then pieces to the end. A piece with the top bit of its first
/// byte begins the segment file that the other bits number. Any other piece is
/// the next block, or blocks, of the file begun last: its first byte says in bit
/// 0 that the file ends raggedly behind it, two bytes give its length, and its
/// bytes follow; zeros fill it up to the next block, and an empty one is a block
/// of zeros. Any bytes are a directory, what is above 1 MiB left out.
///
/// Thread safety: *confined*.
struct Directory {
  struct Segment {
    std::uint8_t number;
    Bytes bytes;
  };
  Bytes identity;
  std::vector<Segment> segments;

  [[nodiscard]] static Directory parse(std::span<const std::byte> input);
  /// Parses to the same directory, if no file numbers come twice.
  [[nodiscard]] Bytes serialize() const;

  [[nodiscard]] static Directory of(test::SimulatedDisk& disk);
  [[nodiscard]] std::unique_ptr<test::SimulatedDisk> disk() const;

  /// All files together.
  [[nodiscard]] std::size_t bytes() const noexcept;
};

}  // namespace actable::lab::fuzz
