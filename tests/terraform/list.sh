#!/usr/bin/env bash
# Write aws_arguments.json anew, from the newest pulumi-aws.
set -euo pipefail
cd "$(dirname "$0")/../.."

. tests/venv.sh
use_venv terraform-arguments 'pulumi-aws>=7.51'
"$VENV/bin/python" tests/terraform/list_arguments.py
