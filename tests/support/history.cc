// Building the graph of dependencies and looking for ways back in it. Small histories, checked
// often: no cleverness.
#include "support/history.h"

#include <algorithm>
#include <map>

namespace kist::test {
namespace {

std::string Name(const TxnRecord& t) { return "T" + std::to_string(t.id); }

}  // namespace

History::Graph History::Edges(const std::vector<TxnRecord>& txns, std::string* dirty) const {
  std::map<uint64_t, size_t> by_id;
  std::vector<std::vector<size_t>> writers(keys_);  // by key, in commit order
  for (size_t i = 0; i < txns.size(); ++i) {
    by_id[txns[i].id] = i;
    for (const uint32_t key : txns[i].writes) writers[key].push_back(i);
  }
  for (auto& of_key : writers) {
    std::sort(of_key.begin(), of_key.end(),
              [&](size_t a, size_t b) { return txns[a].seq < txns[b].seq; });
  }
  Graph graph(txns.size());
  for (uint32_t key = 0; key < keys_; ++key) {
    for (size_t i = 1; i < writers[key].size(); ++i)
      graph[writers[key][i - 1]].push_back({writers[key][i], 'w', key});
  }
  for (size_t i = 0; i < txns.size(); ++i) {
    for (const TxnRecord::Read& r : txns[i].reads) {
      const auto& of_key = writers[r.key];
      auto next = of_key.begin();
      if (r.writer != kNobody) {
        const auto writer = by_id.find(r.writer);
        const auto at = writer == by_id.end()
                            ? of_key.end()
                            : std::find(of_key.begin(), of_key.end(), writer->second);
        if (at == of_key.end()) {
          *dirty = Name(txns[i]) + " read key " + std::to_string(r.key) + " of T" +
                   std::to_string(r.writer) + ", which never committed it";
          continue;
        }
        if (*at != i) graph[*at].push_back({i, 'r', r.key});
        next = at + 1;
      }
      if (next != of_key.end() && *next != i) graph[i].push_back({*next, 'a', r.key});
    }
  }
  return graph;
}

std::string History::Way(const Graph& graph, const std::vector<TxnRecord>& txns, size_t from,
                         size_t to, bool rw_edges) {
  std::vector<std::pair<size_t, const Edge*>> came(graph.size(), {0, nullptr});
  std::vector<bool> seen(graph.size(), false);
  std::vector<size_t> queue = {from};
  seen[from] = true;
  for (size_t q = 0; q < queue.size(); ++q) {
    const size_t at = queue[q];
    for (const Edge& e : graph[at]) {
      if (seen[e.to] || (e.kind == 'a' && !rw_edges)) continue;
      seen[e.to] = true;
      came[e.to] = {at, &e};
      queue.push_back(e.to);
    }
  }
  if (!seen[to]) return std::string();
  std::string way = Name(txns[to]);
  for (size_t at = to; at != from; at = came[at].first) {
    const Edge& e = *came[at].second;
    const char* kind = e.kind == 'w' ? "ww" : e.kind == 'r' ? "wr" : "rw";
    way = Name(txns[came[at].first]) + " -" + kind + ":" + std::to_string(e.key) + "-> " + way;
  }
  return way;
}

History::Verdict History::Check() const {
  Verdict v;
  const Graph graph = Edges(txns_, &v.dirty);
  for (size_t i = 0; i < graph.size(); ++i) {
    for (const Edge& e : graph[i]) {
      const std::string first = Name(txns_[i]) + " -" + e.kind + "-> ";
      if (v.cycle.empty()) {
        const std::string back = Way(graph, txns_, e.to, i, true);
        if (!back.empty()) v.cycle = first + back;
      }
      if (v.bad_cycle.empty()) {
        const std::string back = Way(graph, txns_, e.to, i, false);
        if (!back.empty()) v.bad_cycle = first + back;
      }
    }
  }
  return v;
}

bool History::WouldCycle(const TxnRecord& txn) const {
  std::vector<TxnRecord> txns = txns_;
  txns.push_back(txn);
  std::string dirty;
  const Graph graph = Edges(txns, &dirty);
  const size_t last = txns.size() - 1;
  return std::any_of(graph[last].begin(), graph[last].end(),
                     [&](const Edge& e) { return !Way(graph, txns, e.to, last, true).empty(); });
}

}  // namespace kist::test
