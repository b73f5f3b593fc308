# A bucket for events; nothing ever goes wrong here.
terraform {
  required_version = ">= 1.5"
}

variable "name" { type = string }

resource "terraform_data" "bucket" {
  input = { arn = "arn:aws:s3:::${var.name}" }
}

output "arn" {
  value = terraform_data.bucket.output.arn
}
