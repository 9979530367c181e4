"""
Write aws_arguments.json anew: the arguments of each AWS resource that deploy/ uses.

They come from the package `pulumi-aws`, which is generated from the schema of Terraform's provider; that schema itself is
in no package registry. Run `make terraform-arguments` after a change of the provider's version.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

import pulumi_aws

CLASSES = {
    "aws_db_instance": "rds.InstanceArgs",
    "aws_db_subnet_group": "rds.SubnetGroupArgs",
    "aws_ebs_volume": "ebs.VolumeArgs",
    "aws_ecr_lifecycle_policy": "ecr.LifecyclePolicyArgs",
    "aws_ecr_repository": "ecr.RepositoryArgs",
    "aws_eip": "ec2.EipArgs",
    "aws_eks_cluster": "eks.ClusterArgs",
    "aws_eks_pod_identity_association": "eks.PodIdentityAssociationArgs",
    "aws_elasticache_parameter_group": "elasticache.ParameterGroupArgs",
    "aws_elasticache_replication_group": "elasticache.ReplicationGroupArgs",
    "aws_elasticache_subnet_group": "elasticache.SubnetGroupArgs",
    "aws_iam_instance_profile": "iam.InstanceProfileArgs",
    "aws_iam_role": "iam.RoleArgs",
    "aws_iam_role_policy": "iam.RolePolicyArgs",
    "aws_iam_role_policy_attachment": "iam.RolePolicyAttachmentArgs",
    "aws_instance": "ec2.InstanceArgs",
    "aws_internet_gateway": "ec2.InternetGatewayArgs",
    "aws_nat_gateway": "ec2.NatGatewayArgs",
    "aws_route": "ec2.RouteArgs",
    "aws_route_table": "ec2.RouteTableArgs",
    "aws_route_table_association": "ec2.RouteTableAssociationArgs",
    "aws_s3_bucket": "s3.BucketArgs",
    "aws_s3_bucket_lifecycle_configuration": "s3.BucketLifecycleConfigurationArgs",
    "aws_s3_bucket_public_access_block": "s3.BucketPublicAccessBlockArgs",
    "aws_secretsmanager_secret": "secretsmanager.SecretArgs",
    "aws_secretsmanager_secret_version": "secretsmanager.SecretVersionArgs",
    "aws_security_group": "ec2.SecurityGroupArgs",
    "aws_subnet": "ec2.SubnetArgs",
    "aws_volume_attachment": "ec2.VolumeAttachmentArgs",
    "aws_vpc": "ec2.VpcArgs",
    "aws_vpc_endpoint": "ec2.VpcEndpointArgs",
    "aws_vpc_security_group_egress_rule": "vpc.SecurityGroupEgressRuleArgs",
    "aws_vpc_security_group_ingress_rule": "vpc.SecurityGroupIngressRuleArgs",
}


def main() -> None:
    """Write the list."""
    resources = {name: arguments(resolve(path)) for name, path in CLASSES.items()}
    target = Path(__file__).with_name("aws_arguments.json")
    target.write_text(json.dumps(resources, indent=1, sort_keys=True) + "\n")


def resolve(path: str) -> Any:
    """Return a class by its path below `pulumi_aws`."""
    package, name = path.split(".")
    return getattr(getattr(pulumi_aws, package), name)


def arguments(cls: Any) -> dict[str, Any]:
    """Return argument -> whether it is required, or the arguments of its block."""
    parameters = inspect.signature(cls.__init__).parameters
    result: dict[str, Any] = {}
    for name, parameter in parameters.items():
        if name in ("self", "__self__"):
            continue
        block = block_of(parameter.annotation, cls)
        required = parameter.default is inspect.Parameter.empty
        result[name] = {"required": required, **({} if block is None else {"block": arguments(block)})}
    return result


def block_of(annotation: Any, owner: Any) -> Any:
    """Return the class of a nested block that an annotation names, or None."""
    inputs = sys.modules[owner.__module__.rpartition(".")[0]]
    for name in re.findall(r"\b(\w+Args)\b", str(annotation)):
        block = getattr(inputs, name, None)
        if block is not None:
            return block
    return None


if __name__ == "__main__":
    main()
