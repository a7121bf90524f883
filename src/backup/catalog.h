// Catalog: what a target holds, by the names of its objects.
//
// Names that are not ours are ignored. Nothing but the target's own mark is read: what an object
// holds is judged by who uses it. Threads: one.
#pragma once

#include <map>
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
  std::vector<ObjectName> pending;
  uint64_t bytes = 0;  // of all but tables
};

struct Catalog {
  uint64_t database_id = 0;  // 0: the target is empty
  std::map<uint64_t, CatalogGeneration> generations;
  std::map<std::string, uint64_t> tables;  // bytes by name
  std::vector<ObjectName> prunes;
  static Result<Catalog> Load(Target* target);
};

// Decodes and checks that the object is what its name and the catalog's database say.
Result<BaseListing> ReadBase(Target* target, const Catalog& catalog, const ObjectName& name);
Result<RangeHeader> ReadRangeHeader(Target* target, const Catalog& catalog,
                                    const CatalogRange& range);
Result<Mark> ReadMark(Target* target, const ObjectName& name);

}  // namespace kist
