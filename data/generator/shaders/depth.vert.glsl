in vec3 position;
uniform mat4 model, view_projection;
void main() { gl_Position = view_projection * model * vec4(position, 1); }
