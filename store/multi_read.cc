#include "base/bytes.h"
#include "store/space_core.h"
#include "store/store_core.h"

#include <algorithm>
#include <array>

/// Reads of many keys at once, whose cache misses overlap.
namespace actable::store {

Result<std::size_t> SpaceCore::multi_read(ThreadContext& context, std::span<const std::string_view> keys,
                                          std::span<std::optional<std::string>> values) const {
  SamplingState& sampling = context.sampling;
  if (static_cast<std::size_t>(sampling.before_next) >= keys.size()) [[likely]] {
    sampling.before_next -= static_cast<std::int32_t>(keys.size());
    return multi_read_counted(context, keys, values);
  }
  SampledCall call(store_->sampler(), sampling, keys.size(), [&](std::size_t i) -> SampledCall::What {
    return {OperationKind::multi_get, id_, hash(keys[i]), keys[i]};
  });
  Result<std::size_t> found = multi_read_counted(context, keys, values);
  if (!found) return found;
  call.succeeded([&](std::size_t i) -> SampledCall::Outcome {
    if (!values[i]) return {false, std::nullopt};
    return {true, values[i]->size()};
  });
  return found;
}

Result<std::size_t> SpaceCore::multi_read_counted(ThreadContext& context, std::span<const std::string_view> keys,
                                                  std::span<std::optional<std::string>> values) const {
  // As many as a core can have cache misses under way, and few enough that the
  // pin stays short.
  constexpr std::size_t k_group = 16;
  std::size_t found = 0;
  for (std::size_t first = 0; first < keys.size(); first += k_group) {
    const std::size_t count = std::min(k_group, keys.size() - first);
    std::array<std::uint64_t, k_group> hashes;
    const base::ReadPin pin(store_->epochs(), context.slot);
    if (state() != State::open) return not_open();
    for (std::size_t i = 0; i < count; ++i) {
      hashes[i] = hash(keys[first + i]);
      table_->prefetch_bucket(hashes[i]);
    }
    for (std::size_t i = 0; i < count; ++i) table_->prefetch_record(hashes[i]);
    for (std::size_t i = 0; i < count; ++i) {
      std::optional<std::string>& value = values[first + i];
      const table::Record* const record = table_->find(hashes[i], keys[first + i]);
      if (record == nullptr) {
        value.reset();
      } else if (value) {
        base::assign_bytes(*value, record->value());
        ++found;
      } else {
        value.emplace(record->value());
        ++found;
      }
    }
  }
  return found;
}

}  // namespace actable::store
