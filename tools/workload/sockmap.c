#include "workload.h"

const struct workload sockmap_cases[] = {{0}};
