#include "tests/lab/history/evidence.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace actable::lab::history {

std::string cut_text(const std::optional<Cut>& cut) {
  if (!cut) return {};
  return "recovered with the cut " + std::to_string(cut->number) + ": " + to_text(cut->recovered) +
         "; returned before " + std::to_string(cut->durable_before) + ", and with sync before " +
         std::to_string(cut->acknowledged_before) + ": durable; called after " + std::to_string(cut->lost_after) +
         ": lost\n";
}

std::string whole_text(const KeyHistory& history) {
  std::vector<Operation> all = history.operations;
  std::ranges::sort(all, {}, &Operation::called);
  return "The whole history of the key, which first held " + to_text(history.before) + "\n" + cut_text(history.cut) +
         table_text(all);
}

std::string evidence(const std::string& key, const KeyHistory& history, const Verdict& verdict, std::uint64_t seed) {
  std::string text = key + ": " + verdict.why + "\n";
  for (const State& state : verdict.before) text += "The key could hold before: " + to_text(state) + "\n";
  text += table_text(verdict.part);
  const auto file = std::filesystem::temp_directory_path() / ("actable-history-" + std::to_string(seed) + ".txt");
  std::ofstream out(file);
  out << text << "\n" << whole_text(history);
  out.close();
  return text + (out ? "The key's whole history is in " : "The key's whole history could not be written to ") +
         file.string();
}

}  // namespace actable::lab::history
