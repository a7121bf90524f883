// Included first of all in coverage builds. Without optimization a call of Planted is a branch, one
// that nothing takes where no bugs are compiled in; a constant is none.
#pragma once

#include "../../src/util/planted.h"

#define Planted(bug) false
