#pragma once

#include <cstdint>
#include <span>
#include <string>

/// The store's lock-free algorithms made small, so that a checker can walk
/// through their interleavings, and what must be found when one is weakened.
namespace actable::lab::models {

/// One memory order or one step that the code says it needs.
struct Weakening {
  /// What the model asks `weakened` for; 0 is the sound model.
  int id;
  /// What was taken away.
  const char* what;
  /// The file and function that has it.
  const char* where;
  /// Empty when the model must fail without it; otherwise why it must not.
  const char* not_needed = "";
};

/// How thoroughly the programs of a model are searched.
enum class Depth {
  /// Every interleaving of the programs that say so, a bounded number of
  /// preemptions of those that do not, and random ones.
  whole,
  /// The same without the random ones: no seed changes what it finds.
  certain,
};

/// One search through all programs of a model.
struct Search {
  int weakening = 0;
  Depth depth = Depth::whole;
  /// Where the random interleavings begin.
  std::uint64_t seed = 0;

  // What it found.
  std::uint64_t interleavings = 0;
  /// Empty: none.
  std::string fault{};
  /// Every step of the interleaving with the fault.
  std::string trace{};
};

struct Model {
  const char* name;
  std::span<const Weakening> weakenings;
  void (*search)(Search&);
};

[[nodiscard]] Model slots_model();
[[nodiscard]] Model freeze_model();
[[nodiscard]] Model merge_model();
[[nodiscard]] Model epochs_model();
[[nodiscard]] Model cut_model();
[[nodiscard]] Model stack_model();
[[nodiscard]] Model generations_model();
[[nodiscard]] Model sleep_model();

}  // namespace actable::lab::models
