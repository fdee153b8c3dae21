#include "tests/lab/leg.h"
#include "tests/lab/models/model.h"

#include <array>
#include <cstdio>

namespace actable::lab::models {
namespace {

struct Total {
  std::uint64_t models = 0;
  std::uint64_t interleavings = 0;
  std::uint64_t caught = 0;
  std::uint64_t not_needed = 0;
};

Search search_through(const Model& model, Search search) {
  model.search(search);
  return search;
}

void check_weakening(const Model& model, const Weakening& weakening, const LegOptions& options, Total& total) {
  const bool needed = *weakening.not_needed == '\0';
  // What must be found is found in every run, not in most.
  const Search found = search_through(
      model, {.weakening = weakening.id, .depth = needed ? Depth::certain : Depth::whole, .seed = options.seed});
  if (options.replay) {
    std::printf("| %s | %s | %s | %s |\n", model.name, weakening.what, weakening.where,
                found.fault.empty() ? weakening.not_needed : found.fault.c_str());
  }
  require(found.fault.empty() != needed,
          std::string(model.name) + ": " + weakening.what + " (" + weakening.where + "): " +
              (needed ? "no fault was found without it"
                      : "listed as not needed, but there was a fault: " + found.fault + "\n" + found.trace));
  ++(needed ? total.caught : total.not_needed);
}

std::string work(const LegOptions& options) {
  const std::array models{slots_model(), freeze_model(), merge_model(), epochs_model(),
                          cut_model(),   stack_model(),  sleep_model(), generations_model()};
  Total total;
  const Budget budget(options, 1, 20);
  std::uint64_t round = 0;
  do {
    for (const Model& model : models) {
      if (!budget.in_time()) break;
      const Search sound = search_through(model, {.seed = options.seed + round});
      require(sound.fault.empty(), std::string(model.name) + ": " + sound.fault + "\n" + sound.trace);
      total.interleavings += sound.interleavings;
      total.models += round == 0 ? 1 : 0;
      LegOptions again = options;
      again.seed += round;
      for (const Weakening& weakening : model.weakenings) {
        const bool seed_matters = *weakening.not_needed != '\0';
        if (budget.in_time() && (round == 0 || seed_matters)) check_weakening(model, weakening, again, total);
      }
    }
  } while (budget.goes_on(++round));
  return with_commas(total.models) + " models sound in " + with_commas(total.interleavings) + " interleavings, " +
         with_commas(total.caught) + " of " + with_commas(total.caught) + " weakenings caught, " +
         with_commas(total.not_needed) + " more shown not to matter";
}

}  // namespace
}  // namespace actable::lab::models

int main(int argc, char** argv) {
  return actable::lab::run_leg(argc, argv, "models", "Walks through the interleavings of the lock-free algorithms",
                               actable::lab::models::work);
}
