#include "store/cursor.h"

#include "base/failure.h"
#include "store/checks.h"
#include "store/space_core.h"
#include "store/store_core.h"

#include <new>

namespace actable {
namespace store {
namespace {

// A step copies at least this much, unless the space ends, so that the cost of
// pinning and of finding the place again is spread over some hundred keys.
constexpr std::size_t k_step_bytes = 64 * 1024;
// And looks at no more buckets than this, so that an empty table is walked in
// short steps too.
constexpr unsigned k_step_buckets = 256;

}  // namespace

Result<bool> CursorCore::next() {
  if (space_ == nullptr) return base::failure(ErrorCode::closed, "the handle that was scanned had been moved from");
  ++current_;
  while (current_ >= found_.size()) {
    if (position_.done) return false;
    if (auto stepped = step(); !stepped) return std::unexpected(std::move(stepped.error()));
  }
  const Found& found = found_[current_];
  const std::string_view bytes(bytes_);
  entry_ = {bytes.substr(found.begin, found.key_bytes), bytes.substr(found.begin + found.key_bytes, found.value_bytes),
            found.seq};
  return true;
}

Result<void> CursorCore::step() {
  found_.clear();
  bytes_.clear();
  current_ = 0;
  auto context = space_->store().context();
  if (!context) return std::unexpected(std::move(context.error()));
  const base::ReadPin pin(space_->store().epochs(), (*context)->slot);
  if (space_->state() != SpaceCore::State::open) return space_->not_open();
  const table::ScanPosition before = position_;
  try {
    copy_buckets();
  } catch (const std::bad_alloc&) {
    // The next call begins the step again.
    position_ = before;
    found_.clear();
    return no_memory("a step of the scan");
  }
  return {};
}

void CursorCore::copy_buckets() {
  for (unsigned buckets = 0; buckets < k_step_buckets && bytes_.size() < k_step_bytes && !position_.done; ++buckets) {
    space_->table().scan(position_, [this](const table::Record& record) {
      found_.push_back({bytes_.size(), record.key().size(), record.value().size(), record.seq()});
      bytes_.append(record.key()).append(record.value());
    });
  }
}

}  // namespace store

Cursor::Cursor(std::unique_ptr<store::CursorCore> core) : core_(std::move(core)) {}
Cursor::~Cursor() = default;
Cursor::Cursor(Cursor&&) noexcept = default;
Cursor& Cursor::operator=(Cursor&&) noexcept = default;

Result<bool> Cursor::next() {
  if (core_ == nullptr) {
    return base::failure(ErrorCode::closed,
                         "this cursor was moved from, or memory ran out when it was made; make another");
  }
  return core_->next();
}

const Entry& Cursor::entry() const noexcept { return core_->entry(); }

Cursor Space::scan() const {
  return Cursor(std::unique_ptr<store::CursorCore>(new (std::nothrow) store::CursorCore(core_)));
}

}  // namespace actable
