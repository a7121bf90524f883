// Many point reads of one state, source by source: each memtable, each table of level 0, each level
// is asked for all keys that are not decided yet before the next one is. Keys come sorted, so that
// neighbours share tree paths, tables and blocks; what the reads of one source will miss is fetched
// for all of them before the first one waits.
// Threads: any; inside a guard of epoch_, as read.cc.
#include "db/db_impl.h"

namespace kist {
namespace {

class Lookups {
 public:
  Lookups(const ReadState& state, uint32_t keyspace, bool fill_cache, ManyGet* gets, size_t count)
      : state_(state), keyspace_(keyspace), begin_(gets), end_(gets + count), left_(count) {
    context_.fill_cache = fill_cache;
  }
  bool done() const { return left_ == 0; }
  void InMemtable(Memtable* m);
  void InLevels(const KeyspaceVersion& kv);

 private:
  void InTable(LiveTable* file, ManyGet* from, ManyGet* to);
  void Decide(ManyGet* g) {
    g->done = true;
    --left_;
  }
  void Resolve(ManyGet* g, uint64_t tag, Slice value) {
    ResolveFound(tag, value, g->covering, state_.time_ms, &g->found);
    Decide(g);
  }

  const ReadState& state_;
  const uint32_t keyspace_;
  ManyGet* const begin_;
  ManyGet* const end_;
  size_t left_;
  ReadContext context_;
};

void Lookups::InMemtable(Memtable* m) {
  constexpr size_t kAtOnce = 16;
  ManyGet* gets[kAtOnce];
  Slice keys[kAtOnce];
  Memtable::Found found[kAtOnce];
  for (ManyGet* next = begin_; next != end_;) {
    size_t n = 0;
    for (; next != end_ && n < kAtOnce; ++next) {
      if (next->done) continue;
      gets[n] = next;
      keys[n++] = next->key;
    }
    m->GetMany(keyspace_, keys, n, state_.seq, found);
    for (size_t i = 0; i < n; ++i) {
      ManyGet* g = gets[i];
      g->covering = std::max(g->covering, m->MaxCovering(keyspace_, g->key, state_.seq));
      if (found[i].tag != 0) {
        g->found.memtable = m;
        Resolve(g, found[i].tag, found[i].value);
      } else if (g->covering != 0) {
        Decide(g);
      }
    }
  }
}

// All keys of [from, to) lie in what the file spans, or are decided.
void Lookups::InTable(LiveTable* file, ManyGet* from, ManyGet* to) {
  Table* table = nullptr;
  Status opened = file->Reader(&table);
  if (!opened.ok()) {
    for (ManyGet* g = from; g != to; ++g) {
      if (g->done) continue;
      g->status = opened;
      Decide(g);
    }
    return;
  }
  for (ManyGet* g = from; g != to; ++g) {
    if (!g->done) table->Prefetch(g->hash);
  }
  const RangeTombstoneSet* set = table->range_tombstones();
  for (ManyGet* g = from; g != to; ++g) {
    if (g->done) continue;
    if (set != nullptr) g->covering = std::max(g->covering, set->MaxCovering(g->key, state_.seq));
    g->block = table->Locate(g->key, g->hash, state_.seq);
  }
  for (ManyGet* g = from; g != to; ++g) {
    if (g->done) continue;
    TableFound hit;
    ReadFound::Looks& looks = g->found.looks;
    if (g->block != Table::kNowhere) {
      g->status = table->GetAt(g->block, g->key, g->hash, state_.seq, context_, &hit);
      if (!hit.found && table->has_filter()) ++looks.filter_false;
    } else if (table->has_filter()) {
      ++looks.filter_negatives;
    }
    if (hit.found) {
      looks.from_table = 1;
      g->found.block = hit.block;
      g->found.owned = std::move(hit.owned);
      Resolve(g, hit.tag, hit.value);
    } else if (!g->status.ok() || g->covering != 0) {
      Decide(g);
    }
  }
}

void Lookups::InLevels(const KeyspaceVersion& kv) {
  for (ManyGet* g = begin_; g != end_; ++g) {
    if (!g->done) g->hash = HashKey(g->key);
  }
  for (const auto& f : kv.levels[0].files()) {
    for (ManyGet* from = begin_; from != end_ && !done();) {
      if (from->done || !f->MayHold(from->key)) {
        ++from;
        continue;
      }
      ManyGet* to = from + 1;
      while (to != end_ && (to->done || f->MayHold(to->key))) ++to;
      InTable(f.get(), from, to);
      from = to;
    }
  }
  for (int level = 1; level < kLevels && !done(); ++level) {
    const Level& files = kv.levels[level];
    if (files.empty()) continue;
    for (ManyGet* from = begin_; from != end_;) {
      LiveTable* file = from->done ? nullptr : files.Holder(from->key);
      if (file == nullptr) {
        ++from;
        continue;
      }
      ManyGet* to = from + 1;
      while (to != end_ && (to->done || file->MayHold(to->key))) ++to;
      InTable(file, from, to);
      from = to;
    }
  }
}

}  // namespace

void DbImpl::GetMany(Keyspace* ks, const ReadState& state, bool fill_cache, ManyGet* gets,
                     size_t count) {
  Lookups lookups(state, ks->id(), fill_cache, gets, count);
  for (const auto& m : state.view->memtables) {
    lookups.InMemtable(m.get());
    if (lookups.done()) return;
  }
  const auto* impl = static_cast<KeyspaceImpl*>(ks);
  if (const KeyspaceVersion* kv = state.view->version->Find(impl->slot(), impl->id()))
    lookups.InLevels(*kv);
}

}  // namespace kist
