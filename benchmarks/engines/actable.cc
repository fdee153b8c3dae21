#include "benchmarks/engines/actable_store.h"
#include "benchmarks/engines/kinds.h"

namespace bench {

namespace {

class ActableEngine : public ActableStore {
 public:
  explicit ActableEngine(const EngineOptions& options)
      : ActableStore(options), store_(value_or_failure(actable::Store::open(actable_options(options)), "open")) {
    attach(store_);
  }

 private:
  actable::Store store_;
};

}  // namespace

EngineKind actable_kind() {
  return {.name = "actable",
          .about = ACTABLE_BENCH_VERSION,
          .has_log = true,
          .has_checkpoint = true,
          .key_bytes_max = actable::k_key_bytes_max,
          .open = [](const EngineOptions& options) -> std::unique_ptr<Engine> {
            return std::make_unique<ActableEngine>(options);
          }};
}

}  // namespace bench
