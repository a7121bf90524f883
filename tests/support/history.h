// History: what transactions read and wrote, and the dependency cycles in it, after Adya: T2
// depends on T1 where it overwrote what T1 wrote (ww), read it (wr), or overwrote what T1 had read
// (rw). A history is serializable where these edges make no cycle; under snapshot isolation a cycle
// has two rw edges at least. The order of versions is the order of commits. A read of a range is a
// read of every key of it, absent ones included, so keys come from a small universe: 0 to keys - 1.
// Threads: one; a test that runs several joins its records.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kist::test {

constexpr uint64_t kNobody = 0;  // the transaction before all others: every key is absent

struct TxnRecord {
  uint64_t id = 0;   // from 1; what it writes into a value
  uint64_t seq = 0;  // of its commit; of one that wrote nothing the commit that it read
  bool wrote() const { return !writes.empty(); }
  struct Read {
    uint32_t key;
    uint64_t writer;  // whose version was read, of its last write to the key: kNobody, or an id
  };
  std::vector<Read> reads;       // of others' versions
  std::vector<uint32_t> writes;  // each once; deletes too
};

class History {
 public:
  explicit History(uint32_t keys) : keys_(keys) {}
  void Add(const TxnRecord& txn) { txns_.push_back(txn); }
  size_t size() const { return txns_.size(); }

  struct Verdict {
    std::string dirty;      // a read of what nobody committed; empty: none
    std::string cycle;      // any cycle; empty: none, the history is serializable
    std::string bad_cycle;  // one with less than two rw edges, forbidden under snapshot isolation
  };
  Verdict Check() const;
  // Whether the transaction, committed now, would be in a cycle.
  bool WouldCycle(const TxnRecord& txn) const;

 private:
  struct Edge {
    size_t to;
    char kind;  // 'w' ww, 'r' wr, 'a' rw
    uint32_t key;
  };
  using Graph = std::vector<std::vector<Edge>>;
  Graph Edges(const std::vector<TxnRecord>& txns, std::string* dirty) const;
  // A way from one to the other over edges of which `rw_edges` may be rw; empty: none.
  static std::string Way(const Graph& graph, const std::vector<TxnRecord>& txns, size_t from,
                         size_t to, bool rw_edges);

  const uint32_t keys_;
  std::vector<TxnRecord> txns_;
};

}  // namespace kist::test
