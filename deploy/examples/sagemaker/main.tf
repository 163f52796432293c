# A real-time endpoint on SageMaker: an image with `distilbert serve`, and a model in S3.
#   terraform init
#   terraform apply -var image=ACCOUNT.dkr.ecr.REGION.amazonaws.com/my-model:1 -var model_data=s3://BUCKET/model.tar.gz
# model.tar.gz holds the files of the model at its top: tar -C my-model -czf model.tar.gz .

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "region" {
  type    = string
  default = "eu-central-1"
}

variable "name" {
  type    = string
  default = "distilbert"
}

variable "image" {
  type        = string
  description = "The image, in ECR."
}

variable "model_data" {
  type        = string
  description = "The model: s3://…/model.tar.gz."
}

variable "task" {
  type        = string
  default     = "text-classification"
  description = "The task; the server refuses a model that has no head for it."
}

variable "instance_type" {
  type    = string
  default = "ml.c7i.large"
}

variable "instances" {
  type    = number
  default = 1
}

variable "workers" {
  type        = number
  default     = 1
  description = "Processes of the server on each instance, each with the model."
}

provider "aws" {
  region = var.region
}

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["sagemaker.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "endpoint" {
  name               = "${var.name}-endpoint"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

resource "aws_iam_role_policy" "endpoint" {
  name = "read-model-and-image"
  role = aws_iam_role.endpoint.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = replace(var.model_data, "s3://", "arn:aws:s3:::")
      },
      {
        Effect = "Allow"
        Action = [
          "ecr:GetAuthorizationToken",
          "ecr:BatchCheckLayerAvailability",
          "ecr:GetDownloadUrlForLayer",
          "ecr:BatchGetImage",
          "logs:CreateLogGroup",
          "logs:CreateLogStream",
          "logs:DescribeLogStreams",
          "logs:PutLogEvents",
          "cloudwatch:PutMetricData",
        ]
        Resource = "*"
      },
    ]
  })
}

resource "aws_sagemaker_model" "this" {
  name_prefix        = "${var.name}-"
  execution_role_arn = aws_iam_role.endpoint.arn

  primary_container {
    image          = var.image
    model_data_url = var.model_data

    environment = {
      HF_TASK                        = var.task
      SAGEMAKER_MODEL_SERVER_WORKERS = tostring(var.workers)
      DISTILBERT_SERVE_LOG_FORMAT    = "json"
    }
  }

  depends_on = [aws_iam_role_policy.endpoint]

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_sagemaker_endpoint_configuration" "this" {
  name_prefix = "${var.name}-"

  production_variants {
    variant_name                                      = "all"
    model_name                                        = aws_sagemaker_model.this.name
    instance_type                                     = var.instance_type
    initial_instance_count                            = var.instances
    container_startup_health_check_timeout_in_seconds = 240
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_sagemaker_endpoint" "this" {
  name                 = var.name
  endpoint_config_name = aws_sagemaker_endpoint_configuration.this.name
}

output "invoke" {
  value = "aws sagemaker-runtime invoke-endpoint --region ${var.region} --endpoint-name ${aws_sagemaker_endpoint.this.name} --content-type application/json --body '{\"inputs\": \"I lost my card\"}' --cli-binary-format raw-in-base64-out /dev/stdout"
}
