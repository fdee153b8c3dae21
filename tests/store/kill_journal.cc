#include "tests/store/kill_journal.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <system_error>

namespace actable::test::killing {

Journal::Journal(const std::filesystem::path& file, bool fresh) {
  const int descriptor = ::open(file.c_str(), fresh ? O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC : O_RDWR | O_CLOEXEC, 0600);
  if (descriptor < 0) throw std::system_error(errno, std::generic_category(), file.string());
  void* memory = MAP_FAILED;
  if (!fresh || ::ftruncate(descriptor, sizeof(Life)) == 0) {
    memory = ::mmap(nullptr, sizeof(Life), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  }
  ::close(descriptor);
  if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), file.string());
  life_ = fresh ? new (memory) Life : std::launder(static_cast<Life*>(memory));
}

Journal::~Journal() { ::munmap(life_, sizeof(Life)); }

std::array<Space, 2> spaces_in(Store& store) { return {must(store.space("even")), must(store.space("odd"))}; }

Dump dump(Store& store) {
  const std::array<Space, 2> spaces = spaces_in(store);
  Dump found{};
  for (KeyId key = 0; key < k_keys; ++key) {
    const auto record = held(spaces[space_of(key)], name_of(key));
    if (!record) continue;
    const auto nonce = unseal(record->value);  // of 8 bytes: the counter itself
    found[key] = {.present = true, .whole = nonce.has_value(), .nonce = nonce.value_or(0), .seq = record->seq};
    if (!is_counter(key)) found[key].whole = nonce && record->value.size() == value_bytes(*nonce);
  }
  return found;
}

}  // namespace actable::test::killing
