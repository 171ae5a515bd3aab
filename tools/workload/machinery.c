#include "workload.h"

const struct workload machinery_cases[] = {{0}};
