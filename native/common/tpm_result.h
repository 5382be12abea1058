// TPM result codes, away from libtpms's headers: the state and wire layers need neither.
#pragma once

#include "generated/contract.h"
