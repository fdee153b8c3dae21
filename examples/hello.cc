// Opens a store, writes, reads, and makes sure that it is on disk.
#include <actable/store.h>

#include <cstdint>
#include <cstdio>

int main(int argc, char** argv) {
  auto store = actable::Store::open({.directory = argc > 1 ? argv[1] : "hello-store"});
  if (!store) return std::fprintf(stderr, "%s\n", store.error().message.c_str()), 1;

  actable::Space greetings = store->space("greetings").value();
  greetings.put("en", "hello, world").value();                // at memory speed, on disk within 100 ms
  std::printf("%s\n", greetings.get("en").value()->c_str());  // hello, world
  std::printf("on disk up to %ju\n", static_cast<std::uintmax_t>(store->sync().value()));  // or now, if you ask
}
