#include "tests/lab/leg.h"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <random>

namespace actable::lab {

std::string with_commas(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) {
    at -= 3;
    text.insert(at, ",");
  }
  return text;
}

void Budget::tell(std::uint64_t done) const {
  constexpr std::chrono::seconds k_between{10};
  const std::chrono::duration<double> now = elapsed();
  if (now - told_at_ < k_between) return;
  told_at_ = now;
  std::printf("%.0f s: %s done, %s seeds, %.2f seeds a second\n", now.count(), with_commas(done).c_str(),
              with_commas(seeds_).c_str(), static_cast<double>(seeds_) / now.count());
  std::fflush(stdout);
}

int run_leg(int argc, char** argv, std::string_view name, std::string_view description,
            const std::function<std::string(const LegOptions&)>& work) {
  std::random_device random;
  LegOptions options{.seed = random()};
  unsigned seconds = 0;
  bool nightly = false;
  bool soak = false;
  CLI::App app{std::string(description), "lab_" + std::string(name)};
  app.add_option("--seed", options.seed, "Repeats the run that printed it");
  app.add_option("--seconds", seconds, "Stop after so many seconds");
  app.add_flag("--nightly", nightly, "Do as much as a night allows");
  app.add_flag("--soak", soak, "Go on until --seconds have passed, or for ever")->excludes("--nightly");
  app.add_flag("--replay", options.replay, "Repeat the one case of --seed, and print its trace")->needs("--seed");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  options.limit = std::chrono::seconds(seconds);
  options.amount = soak ? Amount::soak : nightly ? Amount::nightly : Amount::usual;
  const auto began_at = std::chrono::steady_clock::now();
  try {
    const std::string did = work(options);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began_at;
    // What --seconds cut short has not done all that it should.
    const bool cut_short = options.limit.count() != 0 && took >= options.limit;
    std::printf("%s: ok%s, %s, seed %llu, %.1f s\n", std::string(name).c_str(), cut_short ? " as far as it came" : "",
                did.c_str(), static_cast<unsigned long long>(options.seed), took.count());
    return 0;
  } catch (const std::exception& error) {
    std::printf("%s: FOUND: %s\n%s: the run had seed %llu; repeat it with: tests/lab/run %s --seed=%llu\n",
                std::string(name).c_str(), error.what(), std::string(name).c_str(),
                static_cast<unsigned long long>(options.seed), std::string(name).c_str(),
                static_cast<unsigned long long>(options.seed));
    return 1;
  }
}

}  // namespace actable::lab
