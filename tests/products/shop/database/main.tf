# The database of the shop, in the first subnet of its network.
terraform {
  required_version = ">= 1.5"
}

variable "site_dir" { type = string }
variable "subnet" { type = string }

locals {
  host    = cidrhost(var.subnet, 10)
  port    = 5432
  path    = "${var.site_dir}/database.conf"
  content = "listen ${local.host}:${local.port}\nsubnet ${var.subnet}\n"
}

# Made once, kept in the state, never in the clear anywhere else.
resource "terraform_data" "password" {
  input = uuid()

  lifecycle {
    ignore_changes = [input]
  }
}

# One file under the customer's site directory stands in for a resource of the cloud. A file that was
# changed or removed behind our back makes the last trigger unknown, so the plan shows a replacement,
# and applying it gives "intact" again: one apply heals.
resource "terraform_data" "file" {
  input = { path = local.path, content = local.content }

  triggers_replace = [
    local.path,
    sha256(local.content),
    fileexists(local.path) && try(filesha256(local.path), "") == sha256(local.content) ? "intact" : substr("intact${timestamp()}", 0, 6),
  ]

  provisioner "local-exec" {
    command     = "mkdir -p \"$(dirname \"$FILE\")\" && printf %s \"$CONTENT\" > \"$FILE.new\" && mv \"$FILE.new\" \"$FILE\""
    environment = { FILE = self.input.path, CONTENT = self.input.content }
  }

  provisioner "local-exec" {
    when        = destroy
    command     = "rm -f \"$FILE\""
    environment = { FILE = self.input.path }
  }
}

output "host" {
  value      = local.host
  depends_on = [terraform_data.file]
}

output "port" {
  value = local.port
}

output "password" {
  value     = terraform_data.password.output
  sensitive = true
}
