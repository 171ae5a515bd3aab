#include "workload.h"

const struct workload row_cases[] = {{0}};
