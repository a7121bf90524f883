// Catalog: what a target holds, by the names of its objects, and what those who are at work there
// say about it.
//
// Names that are not ours are ignored. Listing a target is no snapshot, so the order counts: claims
// and prunings are read before the states and the tables. Then
//  1. a claim that is not seen was put later, or its writer's base is listed;
//  2. a pruning that is not seen was put later, or what it removed is not listed.
// Threads: one.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "backup/objects.h"
#include "backup/target.h"

namespace kist {

struct CatalogRange {
  ObjectName name;
  uint64_t bytes = 0;  // of the whole object
};

struct CatalogGeneration {
  uint64_t number = 0;
  bool started = false;
  std::map<Sequence, ObjectName> bases;     // by the commit whose state they are
  std::map<uint64_t, CatalogRange> ranges;  // by index
  uint64_t bytes = 0;                       // of all but tables
};

struct Catalog {
  enum class Part {
    kStates,  // generations alone: for who reads
    kWhole,   // claims, prunings and tables too: for who writes or prunes; all of it is durable
  };
  uint64_t database_id = 0;  // 0: the target is empty
  std::map<uint64_t, CatalogGeneration> generations;
  // kWhole's.
  std::map<std::string, BaseTable> tables;  // by name; those that are as long as they say
  std::map<std::string, Claim> claims;
  std::map<std::string, PruneMark> prunes;
  std::set<std::string> doomed;  // tables that prunes remove, by name

  // generation: this one alone, where it is not 0.
  static Result<Catalog> Load(Target* target, Part part, uint64_t generation = 0);

  // An object of this content that no pruning removes, or nullptr.
  const BaseTable* FindTable(uint64_t number, uint64_t bytes, uint32_t crc) const;
  // Ranges of a generation below this index are being removed; 0: none are.
  uint64_t CutOf(uint64_t generation) const;
  // The same base copies are there.
  bool SameBases(const Catalog& other) const;

 private:
  static Result<Catalog> LoadOnce(Target* target, Part part, uint64_t generation);
  bool IsUnmarked() const { return database_id == 0 && (!generations.empty() || !claims.empty()); }
  Status LoadWork(Target* target);
  Status LoadStates(Target* target, Part part, uint64_t generation);
};

// Decodes and checks that the object is what its name and the catalog's database say.
Result<BaseListing> ReadBase(Target* target, const Catalog& catalog, const ObjectName& name);
Result<RangeHeader> ReadRangeHeader(Target* target, const Catalog& catalog,
                                    const CatalogRange& range);
Status CheckRangeHeader(Target* target, const Catalog& catalog, const CatalogRange& range,
                        const RangeHeader& header);
Result<Mark> ReadMark(Target* target, const ObjectName& name);

}  // namespace kist
