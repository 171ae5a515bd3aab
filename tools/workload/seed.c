#include "workload.h"

const struct workload seed_cases[] = {{0}};
