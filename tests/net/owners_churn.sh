#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 120
# A thousand connections a second, each by a process that lives a few milliseconds: they all have their names.
exec bash "$(dirname "$0")/../owners/churn" --seconds 10
