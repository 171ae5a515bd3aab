#include "workload.h"

const struct workload path_cases[] = {{0}};
